"""The GitHub client and coordinator against a local server that speaks GitHub's REST format."""

import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.connectors.errors import ConnectorRefusedError, ConnectorUnavailableError, RateLimitedError
from bailiwick.connectors.github.client import GitHubClient
from bailiwick.connectors.github.coordinator import GitHubCoordinator, PollCursor
from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.clock import ManualClock
from bailiwick.kernel.errors import BailiwickError, InvalidInputError
from bailiwick.outbound import AllowList, OutboundRefusedError
from tests.support.github_double import TOKEN, Answer, GitHubDouble, running_github_double

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LOOPBACK = AllowList.parse("127.0.0.1:*")
MARKER = "effect-0199f0a4-5d2e-7c11-8000-3b1f5f7a9c01"


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with running_github_double() as double:
        yield double


@pytest.fixture
async def client(github: GitHubDouble) -> AsyncIterator[GitHubClient]:
    async with GitHubClient(
        TOKEN, base_url=github.url, timeout_seconds=5, allow=LOOPBACK, clock=ManualClock(NOW)
    ) as opened:
        yield opened


def coordinator(client: GitHubClient, **options: bool) -> GitHubCoordinator:
    return GitHubCoordinator(client, "acme/shop", clock=ManualClock(NOW), **options)


def caught_up(since: str) -> PollCursor:
    return PollCursor(since=datetime.fromisoformat(since), is_caught_up=True)


class TestPolling:
    async def test_the_first_poll_finds_the_open_issues_and_no_history(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2024-01-01T00:00:00Z")
        github.issue(2, created_at="2024-01-02T00:00:00Z", state="closed", closed_at="2024-02-01T00:00:00Z")
        github.issue(3, created_at="2024-01-03T00:00:00Z", pull_request={"url": "x"})
        outcome = await coordinator(client).poll(PollCursor())
        assert [(event.type, event.key) for event in outcome.events] == [("issue.opened", "acme/shop#1")]
        assert outcome.cursor.is_caught_up
        assert outcome.cursor.since == github.now
        assert outcome.next_poll_at == NOW + timedelta(seconds=60)

    async def test_history_is_read_when_asked_for(self, github: GitHubDouble, client: GitHubClient) -> None:
        github.issue(2, created_at="2024-01-02T00:00:00Z", state="closed", closed_at="2024-02-01T00:00:00Z")
        outcome = await coordinator(client, include_history=True).poll(PollCursor())
        assert [event.type for event in outcome.events] == ["issue.imported"]

    async def test_old_closings_are_no_events_after_a_first_poll_without_history(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2019-01-01T00:00:00Z")
        github.issue(2, created_at="2020-01-02T00:00:00Z", state="closed", closed_at="2020-02-01T00:00:00Z")
        polling = coordinator(client)
        first = await polling.poll(PollCursor())
        assert (await polling.poll(first.cursor)).events == ()

    async def test_an_opened_closed_or_changed_issue_is_told_apart(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        github.issue(2, created_at="2026-01-01T00:00:00Z", updated_at="2026-03-01T12:31:00Z")
        github.issue(
            3, created_at="2026-01-01T00:00:00Z", updated_at="2026-03-01T12:32:00Z",
            state="closed", closed_at="2026-03-01T12:32:00Z",
        )  # fmt: skip
        outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
        assert [event.type for event in outcome.events] == ["issue.opened", "issue.changed", "issue.closed"]
        assert outcome.cursor.since == datetime(2026, 3, 1, 12, 32, tzinfo=UTC)

    async def test_asking_again_from_an_old_cursor_gives_the_same_keys(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        polling = coordinator(client)
        before = caught_up("2026-03-01T12:00:00Z")
        first, second = await polling.poll(before), await polling.poll(before)
        assert [event.dedupe_key for event in first.events] == [event.dedupe_key for event in second.events]

    async def test_an_idle_repository_costs_no_rate_limit(self, github: GitHubDouble, client: GitHubClient) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        polling = coordinator(client)
        outcome = await polling.poll(caught_up("2026-03-01T12:00:00Z"))
        for _ in range(2):
            outcome = await polling.poll(outcome.cursor)
        assert github.statuses == [200, 200, 304]
        assert outcome.events == ()
        github.issue(2, created_at="2026-03-01T12:40:00Z")
        assert [event.key for event in (await polling.poll(outcome.cursor)).events][-1] == "acme/shop#2"

    async def test_pages_are_followed_to_the_end(self, github: GitHubDouble, client: GitHubClient) -> None:
        for number in range(1, 251):
            github.issue(number, created_at="2026-03-01T12:30:00Z")
        outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
        assert len(github.requests) == 3
        assert {event.key for event in outcome.events} == {f"acme/shop#{number}" for number in range(1, 251)}

    async def test_a_first_poll_of_many_pages_goes_on_at_once_and_misses_nothing(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        start = datetime(2024, 1, 1, tzinfo=UTC)
        for number in range(1, 1501):
            moment = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
            github.issue(number, created_at=moment)
        polling = coordinator(client)
        first = await polling.poll(PollCursor())
        assert first.next_poll_at == NOW
        assert not first.cursor.is_caught_up
        # An issue closed meanwhile has to be told, although open ones only were being read.
        closing = "2026-03-01T12:00:05Z"
        github.issues[1] |= {"state": "closed", "closed_at": closing, "updated_at": closing}
        second = await polling.poll(first.cursor)
        third = await polling.poll(second.cursor)
        opened = {event.key for event in (*first.events, *second.events)}
        assert len(opened) == 1500
        assert [(event.type, event.key) for event in third.events] == [("issue.closed", "acme/shop#1")]

    async def test_an_issue_that_cannot_be_read_is_rejected_and_the_others_go_on(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2026-03-01T12:31:00Z", title="a\0b")
        github.issue(2, created_at="2026-03-01T12:30:00Z")
        outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
        assert [event.key for event in outcome.events] == ["acme/shop#2"]
        assert "U+0000" in outcome.rejected[0].reason
        for _ in range(2):
            outcome = await coordinator(client).poll(outcome.cursor)
        assert outcome.rejected == (), "the unreadable issue is not read for ever"


class TestLimitsAndFaults:
    async def test_a_spent_rate_limit_moves_the_next_poll_to_its_reset(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        github.remaining = 1
        polling = coordinator(client)
        last = await polling.poll(caught_up("2026-03-01T12:00:00Z"))
        assert len(last.events) == 1
        assert last.next_poll_at == github.resets_at

    async def test_a_secondary_limit_is_waited_for_as_long_as_github_says(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.planned.append(
            Answer(403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "90"})
        )
        outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
        assert outcome.next_poll_at == NOW + timedelta(seconds=90)
        assert outcome.problem is not None

    async def test_an_outage_is_retried_later_and_later(self, github: GitHubDouble, client: GitHubClient) -> None:
        polling = coordinator(client)
        cursor = caught_up("2026-03-01T12:00:00Z")
        waits: list[float] = []
        for _ in range(3):
            github.planned.append(Answer(502, {"message": "Bad gateway"}))
            outcome = await polling.poll(cursor)
            cursor = outcome.cursor
            waits.append((outcome.next_poll_at - NOW).total_seconds())
        assert waits == [120, 240, 480]
        assert (await polling.poll(cursor)).cursor.failures == 0

    async def test_pages_read_before_an_outage_count(
        self, github: GitHubDouble, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(1, 151):
            github.issue(number, created_at="2026-03-01T12:30:00Z")
        page = github._listing
        pages = 0

        def failing(target: str, headers: dict[str, str]) -> Answer:
            nonlocal pages
            pages += 1
            return page(target, headers) if pages == 1 else Answer(500, {})

        monkeypatch.setattr(github, "_listing", failing)
        outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
        assert len(outcome.events) == 100
        assert outcome.problem is not None
        assert outcome.cursor.since == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (Answer(401, {"message": "Bad credentials"}), ConnectorRefusedError),
            (Answer(403, {"message": "Resource not accessible by personal access token"}), ConnectorRefusedError),
            (Answer(404, {"message": "Not Found"}), ConnectorRefusedError),
            (Answer(410, {"message": "Issues are disabled"}), ConnectorRefusedError),
            (Answer(422, {"message": "Validation Failed"}), ConnectorRefusedError),
            (Answer(429, {"message": "slow down"}), ConnectorUnavailableError),
            (Answer(503, {"message": "unavailable"}), ConnectorUnavailableError),
            (Answer(200, raw=b"<html>a proxy</html>"), ConnectorUnavailableError),
            (Answer(200, {"no": "list"}), ConnectorUnavailableError),
            (Answer(403, {}, {"Retry-After": "soon"}), ConnectorUnavailableError),
            (Answer(403, {}, {"Retry-After": "7"}), RateLimitedError),
            (Answer(200, [], {"Link": '<https://elsewhere.example/x>; rel="next"'}), ConnectorRefusedError),
        ],
    )
    async def test_each_answer_says_whether_to_retry(
        self, github: GitHubDouble, client: GitHubClient, answer: Answer, kind: type[BailiwickError]
    ) -> None:
        github.planned.append(answer)
        with pytest.raises(kind) as raised:
            await client.list_issues("acme/shop")
        assert raised.value.retryable is (kind is not ConnectorRefusedError)

    async def test_a_server_that_is_not_there_is_unavailable(self, github: GitHubDouble) -> None:
        unused = GitHubClient(TOKEN, base_url="http://127.0.0.1:1", timeout_seconds=1, allow=LOOPBACK)
        with pytest.raises(ConnectorUnavailableError, match="cannot be reached"):
            await unused.list_issues("acme/shop")

    async def test_a_private_base_url_is_refused_unless_the_installation_allows_it(self, github: GitHubDouble) -> None:
        client = GitHubClient(TOKEN, base_url=github.url)
        with pytest.raises(OutboundRefusedError, match="BAILIWICK_OUTBOUND_ALLOWED"):
            await client.list_issues("acme/shop")
        assert github.requests == []

    @pytest.mark.parametrize(
        "repository", ["", "shop", "acme/../x", "acme/shop/issues", "acme/..", "a b/c", "acme/x?y"]
    )
    async def test_a_repository_is_a_name_and_not_a_path(
        self, github: GitHubDouble, client: GitHubClient, repository: str
    ) -> None:
        with pytest.raises(InvalidInputError):
            await client.list_issues(repository)
        assert github.requests == []

    async def test_an_enterprise_base_url_keeps_its_path(self, github: GitHubDouble) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        async with GitHubClient(TOKEN, base_url=f"{github.url}/api/v3", allow=LOOPBACK) as client:
            page = await client.list_issues("acme/shop")
        assert page.items is not None
        assert github.requests[0].startswith("GET /api/v3/repos/acme/shop/issues?")


class TestEffects:
    async def test_a_repeated_comment_is_written_once(self, github: GitHubDouble, client: GitHubClient) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        first = await client.comment("acme/shop", 1, "Assigned to qa.", MARKER)
        second = await client.comment("acme/shop", 1, "Assigned to qa.", MARKER)
        assert first == second
        assert len(github.comments[1]) == 1
        assert github.comments[1][0]["body"].startswith("Assigned to qa.\n\n<!-- ")

    async def test_the_earlier_comment_is_found_behind_many_others(
        self, github: GitHubDouble, client: GitHubClient
    ) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        github.comments[1] = [{"id": number, "body": "me too"} for number in range(140)]
        first = await client.comment("acme/shop", 1, "Assigned to qa.", MARKER)
        assert await client.comment("acme/shop", 1, "Assigned to qa.", MARKER) == first
        assert len(github.comments[1]) == 141

    async def test_another_marker_is_another_comment(self, github: GitHubDouble, client: GitHubClient) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        await client.comment("acme/shop", 1, "Assigned to qa.", MARKER)
        await client.comment("acme/shop", 1, "Assigned to qa.", f"{MARKER}-b")
        assert len(github.comments[1]) == 2

    @pytest.mark.parametrize("marker", ["", "short", "x" * 101, "marker --> <b>breaks out</b>"])
    async def test_a_marker_that_could_be_guessed_or_seen_is_refused(
        self, github: GitHubDouble, client: GitHubClient, marker: str
    ) -> None:
        with pytest.raises(InvalidInputError):
            await client.comment("acme/shop", 1, "text", marker)
        assert github.requests == []

    @pytest.mark.parametrize("body", ["", "  \n", "x" * 65_536])
    async def test_a_comment_github_would_refuse_is_refused_here(self, client: GitHubClient, body: str) -> None:
        with pytest.raises(InvalidInputError):
            await client.comment("acme/shop", 1, body, MARKER)

    async def test_labels_are_added_to_those_there(self, github: GitHubDouble, client: GitHubClient) -> None:
        github.issue(1, created_at="2026-03-01T12:30:00Z")
        assert await client.add_labels("acme/shop", 1, ["P1"]) == ("bug", "P1")
        assert await client.add_labels("acme/shop", 1, ["P1"]) == ("bug", "P1")


class TestSecrecy:
    async def test_the_token_is_in_no_message_log_or_representation(
        self, github: GitHubDouble, caplog: pytest.LogCaptureFixture
    ) -> None:
        for logger in ("", "httpx", "httpcore", "hishel"):
            caplog.set_level(logging.DEBUG, logger)
        shown: list[str] = []
        async with GitHubClient(TOKEN, base_url=github.url, timeout_seconds=5, allow=LOOPBACK) as client:
            shown += [repr(client), str(client), repr(coordinator(client))]
            for answer in (
                Answer(200, []),
                Answer(401, {"message": "Bad credentials"}),
                Answer(500),
                Answer(200, raw=b"?"),
            ):
                github.planned.append(answer)
                try:
                    shown.append(repr(await client.list_issues("acme/shop")))
                except BailiwickError as error:
                    shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
                    shown += [repr(error.__cause__), repr(getattr(error.__cause__, "request", None))]
        shown += [record.getMessage() for record in caplog.records]
        assert caplog.records, "the libraries below log, so that this test sees what they say"
        assert not [text for text in shown if TOKEN in text]

    def test_a_malformed_token_is_refused_without_showing_it(self) -> None:
        with pytest.raises(InvalidInputError) as raised:
            GitHubClient("ghp_secret\n")
        assert "secret" not in str(raised.value)


async def test_polled_issues_carry_their_fields(github: GitHubDouble, client: GitHubClient) -> None:
    github.issue(7, created_at="2026-03-01T12:30:00Z", user=None, body=None, labels=["P0", {"name": "security"}])
    outcome = await coordinator(client).poll(caught_up("2026-03-01T12:00:00Z"))
    issue = outcome.events[0].payload
    assert isinstance(issue, IssueRecord)
    assert (issue.author, issue.body, issue.labels) == (None, "", ("P0", "security"))
    assert issue.repository == "acme/shop"
    assert issue.url == "https://github.com/acme/shop/issues/7"
