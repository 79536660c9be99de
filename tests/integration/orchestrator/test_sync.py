"""Data sync against a local double of GitHub: nothing lost, nothing repeated, every failure told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.connectors.connections import ConnectionRecord, Connections
from bailiwick.connectors.github.connection import GitHubConnection
from bailiwick.connectors.github.sync import GitHubSync
from bailiwick.kernel.errors import InvalidInputError
from tests.integration.orchestrator.conftest import Platform
from tests.support.github_double import TOKEN, Answer, GitHubDouble, running_github_double

VARIABLE = "WARD_STREET_TOKEN"
SHOP = "acme/shop"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubDouble]:
    monkeypatch.setenv(VARIABLE, TOKEN)
    with running_github_double() as double:
        double.now = datetime.now(UTC)
        double.resets_at = double.now + timedelta(hours=1)
        yield double


async def connect(platform: Platform, github: GitHubDouble, **configuration: object) -> None:
    wanted = {"token_variable": VARIABLE, "base_url": github.url} | configuration
    await platform.connect(SHOP, **{name: value for name, value in wanted.items() if value is not None})


async def due_again(platform: Platform) -> None:
    await platform.installation.database.execute(
        "update connections set next_poll_at = now()", organization_id=platform.organization_id
    )


async def connection(platform: Platform) -> ConnectionRecord:
    return await platform.installation.connections.get(platform.organization_id, SHOP)


async def opened(platform: Platform) -> list[int]:
    return sorted(payload["number"] for payload in await platform.events("issue.opened"))


async def test_without_connections_it_says_so(platform: Platform) -> None:
    result = await platform.run("system.sync")
    assert (result["status"], result["connections"]) == ("no connections", [])


async def test_issues_come_in_once_and_what_is_not_due_is_not_asked(platform: Platform, github: GitHubDouble) -> None:
    for number in (1, 2, 3):
        github.issue(number, created_at="2026-01-01T00:00:00Z")
    await connect(platform, github)
    first = await platform.run("system.sync")
    assert (first["status"], first["events"], first["duplicates"]) == ("synced", 3, 0)
    assert await opened(platform) == [1, 2, 3]
    asked = len(github.requests)
    assert (await platform.run("system.sync"))["status"] == "nothing due"
    assert len(github.requests) == asked

    github.now += timedelta(minutes=5)
    moment = github.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    github.issue(4, created_at=moment)
    await due_again(platform)
    assert (await platform.run("system.sync"))["events"] == 1
    assert await opened(platform) == [1, 2, 3, 4]
    found = await connection(platform)
    assert found.last_error is None
    assert found.last_polled_at is not None
    assert found.next_poll_at > datetime.now(UTC)


async def test_a_crash_between_publishing_and_saving_the_cursor_repeats_nothing(
    platform: Platform, github: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        github.issue(number, created_at="2026-01-01T00:00:00Z")
    await connect(platform, github)
    save = Connections.save_poll
    crashes: list[str] = []

    async def crash_once(self: Connections, *args: object, **kwargs: object) -> None:
        if not crashes:
            crashes.append("now")
            raise RuntimeError("the power went out")
        await save(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Connections, "save_poll", crash_once)
    result = await platform.run("system.sync")
    assert crashes
    assert (result["events"], result["duplicates"]) == (0, 5)
    assert await opened(platform) == [1, 2, 3, 4, 5]


async def test_a_large_repository_is_read_to_its_end_in_one_sync(platform: Platform, github: GitHubDouble) -> None:
    for number in range(1, 1251):
        github.issue(number, created_at=f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z")
    await connect(platform, github)
    result = await platform.run("system.sync")
    assert result["events"] == 1250
    (report,) = result["connections"]
    # Ten pages of a hundred at a time.
    assert report["polls"] == 2


async def test_a_missing_token_is_told_and_stops_nothing_else(platform: Platform, github: GitHubDouble) -> None:
    github.issue(1, created_at="2026-01-01T00:00:00Z")
    await connect(platform, github, token_variable="NO_SUCH_TOKEN")
    result = await platform.run("system.sync")
    assert result["status"] == "1 of 1 connections not synced"
    found = await connection(platform)
    assert found.state == "active"
    assert "NO_SUCH_TOKEN" in (found.last_error or "")
    assert github.requests == []


async def test_a_refusal_for_good_stops_polling_until_a_person_resumes_it(
    platform: Platform, github: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connect(platform, github)
    monkeypatch.setenv(VARIABLE, "ghp_expired")
    (report,) = (await platform.run("system.sync"))["connections"]
    assert report["status"] == "refused"
    assert "ghp_expired" not in str(report)
    found = await connection(platform)
    assert found.state == "refused"
    assert "give a new one" in (found.last_error or "")
    assert (await platform.run("system.sync"))["status"] == "no connections"
    monkeypatch.setenv(VARIABLE, TOKEN)
    await platform.installation.connections.set_state(platform.organization_id, SHOP, "active")
    assert (await platform.run("system.sync"))["status"] == "synced"


async def test_a_rate_limit_is_waited_out_and_is_no_failure(platform: Platform, github: GitHubDouble) -> None:
    await connect(platform, github)
    github.remaining = 0
    (report,) = (await platform.run("system.sync"))["connections"]
    assert report["status"] == "limited"
    found = await connection(platform)
    assert abs(found.next_poll_at - github.resets_at) < timedelta(seconds=2)
    assert await platform.installation.limits.list(platform.organization_id) == []
    assert (await platform.run("system.sync"))["status"] == "nothing due"


async def test_an_outage_backs_off_opens_the_breaker_and_ends_with_the_next_success(
    platform: Platform, github: GitHubDouble
) -> None:
    github.issue(1, created_at="2026-01-01T00:00:00Z")
    await connect(platform, github)
    sync = GitHubSync(
        platform.installation.connections, platform.installation.events, platform.installation.rejections,
        platform.installation.limits, allow=platform.installation.outbound,
    )  # fmt: skip
    waits: list[float] = []
    for _ in range(5):
        github.planned.append(Answer(502, {"message": "Bad gateway"}))
        report = await sync.sync(await connection(platform))
        assert report.status == "unavailable"
        assert report.next_poll_at is not None
        waits.append(round((report.next_poll_at - datetime.now(UTC)).total_seconds() / 60))
    assert waits == [2, 4, 8, 16, 32]
    asked = len(github.requests)
    report = await sync.sync(await connection(platform))
    assert report.status == "stopped"
    assert "after 5 failures in a row" in (report.problem or "")
    assert len(github.requests) == asked
    await platform.installation.database.execute(
        "update limits set blocked_until = now() - interval '1 second'", organization_id=platform.organization_id
    )
    report = await sync.sync(await connection(platform))
    assert (report.status, report.events) == ("polled", 1)
    assert (await connection(platform)).last_error is None
    assert await platform.installation.limits.list(platform.organization_id) == []


async def test_an_issue_nobody_can_read_is_kept_as_rejected_and_the_others_come_in(
    platform: Platform, github: GitHubDouble
) -> None:
    github.issue(1, created_at="2026-01-01T00:00:00Z", title=None)
    github.issue(2, created_at="2026-01-02T00:00:00Z", body="x" * 300_000)
    github.issue(3, created_at="2026-01-03T00:00:00Z")
    await connect(platform, github)
    result = await platform.run("system.sync")
    assert (result["events"], result["rejected"]) == (1, 2)
    kept = (await platform.installation.rejections.list(platform.organization_id)).items
    assert {one.source for one in kept} == {"github"}
    assert any("262,144" in one.reason for one in kept)


class TestConfiguration:
    @pytest.mark.parametrize(
        "configuration",
        [{"token": TOKEN}, {"token_variable": "not a name"}, {"base_url": "ftp://x"}, {"interval_seconds": 0}],
    )
    def test_what_cannot_be_used_is_refused_without_being_shown(self, configuration: dict[str, object]) -> None:
        with pytest.raises(InvalidInputError) as refused:
            GitHubConnection.of(configuration)
        assert TOKEN not in str(refused.value)
