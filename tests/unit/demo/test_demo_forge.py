"""The forge that stands in for GitHub in the demo: the product's own client speaks to it, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bailiwick.authority.cases import run_cases
from bailiwick.authority.policy import read_policy
from bailiwick.connectors.errors import ConnectorNotFoundError, ConnectorRefusedError
from bailiwick.connectors.github.client import GitHubClient
from bailiwick.demo.content import DEMO_REPOSITORY, demo_issue_lines
from bailiwick.demo.forge_server import RunningForge, running_forge
from bailiwick.demo.outside import demo_policy
from bailiwick.outbound import AllowList

ISSUE = 198
MARKER = "effect-0199f0a4-5d2e-7c11-8000-3b1f5f7a9c01"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[RunningForge]:
    with running_forge(DEMO_REPOSITORY, tmp_path) as running:
        yield running


def client_of(forge: RunningForge, token: str | None = None) -> GitHubClient:
    return GitHubClient(token or forge.token, base_url=forge.url, allow=AllowList.parse(forge.place))


async def test_it_holds_the_issues_that_the_demo_brings_in(forge: RunningForge):
    async with client_of(forge) as client:
        found = await client.get_issue(DEMO_REPOSITORY, ISSUE)
        with pytest.raises(ConnectorNotFoundError):
            await client.get_issue(DEMO_REPOSITORY, 99_999)
    assert found["state"] == "open"
    title = found["title"].encode()
    assert any(title in line for line in demo_issue_lines(datetime.now(UTC)))


async def test_what_is_written_there_stays_for_the_next_demo(tmp_path: Path):
    with running_forge(DEMO_REPOSITORY, tmp_path) as first:
        async with client_of(first) as client:
            comment_id = await client.comment(DEMO_REPOSITORY, ISSUE, "Thank you.", MARKER)
            await client.add_labels(DEMO_REPOSITORY, ISSUE, ["needs-info"])
    with running_forge(DEMO_REPOSITORY, tmp_path) as second:
        assert second.token != first.token
        async with client_of(second) as client:
            assert "Thank you." in (await client.get_comment(DEMO_REPOSITORY, comment_id))["body"]
            labels = (await client.get_issue(DEMO_REPOSITORY, ISSUE))["labels"]
    assert "needs-info" in {label["name"] for label in labels}


async def test_nobody_without_its_token_is_served(forge: RunningForge):
    async with client_of(forge, "another-token") as client:
        with pytest.raises(ConnectorRefusedError, match="401"):
            await client.get_issue(DEMO_REPOSITORY, ISSUE)


def test_the_demos_policy_keeps_its_own_promises():
    report = run_cases(read_policy(demo_policy()))
    assert len(report.results) == 4
    assert report.is_passed, report.failures
