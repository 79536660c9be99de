"""Polling a repository: what happened since the last time, and when to ask again."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from bailiwick.connectors.errors import RateLimitedError
from bailiwick.connectors.facts import changed, closed, found, opened
from bailiwick.connectors.github.payload import issue_from_document
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.connectors.timestamps import parse_timestamp
from bailiwick.events import NewEvent
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.errors import InvalidInputError, UnavailableError

if TYPE_CHECKING:
    from bailiwick.connectors.github.answers import Page
    from bailiwick.connectors.github.client import GitHubClient

POLL_INTERVAL_SECONDS = 60
MAX_BACKOFF_SECONDS = 3600
MAX_PAGES = 10


@dataclass(frozen=True, slots=True)
class PollCursor:
    """Where polling of one repository stands; to be stored with the events it gave.

    ``since`` is the time from which changes are asked for, None before the
    first poll; ``etag`` belongs to the listing since then. Until
    ``is_caught_up`` the issues that were there before are being read, which
    began at ``began_at``.
    """

    since: datetime | None = None
    etag: str | None = None
    failures: int = 0
    began_at: datetime | None = None
    is_caught_up: bool = False


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """What one poll found, the cursor to go on from, and when.

    ``problem`` says why a poll ended early; what it had read before is in
    ``events`` all the same.
    """

    events: tuple[NewEvent, ...]
    rejected: tuple[RejectedRecord, ...]
    cursor: PollCursor
    next_poll_at: datetime
    problem: str | None = None


class GitHubCoordinator:
    """Asks GitHub for the changes of one repository; it neither waits nor stores."""

    def __init__(
        self,
        client: "GitHubClient",
        repository: str,
        *,
        interval_seconds: int = POLL_INTERVAL_SECONDS,
        include_history: bool = False,
        include_pull_requests: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Poll ``repository``; ``include_history`` makes the first poll read closed issues too."""
        self._client = client
        self._repository = repository
        self._interval = timedelta(seconds=interval_seconds)
        self._include_history = include_history
        self._include_pull_requests = include_pull_requests
        self._clock = clock or SystemClock()

    async def poll(self, cursor: PollCursor) -> PollOutcome:
        """Return the events since ``cursor``, at most about ``MAX_PAGES`` pages of them.

        Asking again from an old cursor gives the same events with the same
        keys. A rate limit or an outage is not raised: ``next_poll_at`` is when
        it should be over.

        Raises:
            ConnectorRefusedError: GitHub refuses for good; polling again is of
                no use before a person has changed something.
        """
        gathered = _Gathered(cursor)
        try:
            async for page in self._pages(cursor, gathered):
                self._gather(page, cursor, gathered)
        except RateLimitedError as error:
            return gathered.outcome(error.retry_at, problem=str(error))
        except UnavailableError as error:
            failures = cursor.failures + 1
            wait = min(self._interval.total_seconds() * 2 ** min(failures, 10), MAX_BACKOFF_SECONDS)
            next_poll_at = self._clock.now() + timedelta(seconds=wait)
            return gathered.outcome(next_poll_at, problem=str(error), failures=failures)
        return gathered.outcome(self._next_poll_at(gathered))

    async def _pages(self, cursor: PollCursor, gathered: "_Gathered") -> "AsyncIterator[Page]":
        state = "all" if cursor.is_caught_up or self._include_history else "open"
        page: Page | None = await self._client.list_issues(
            self._repository, since=cursor.since, state=state, etag=cursor.etag
        )
        count = 0
        while page is not None:
            count += 1
            gathered.last_page = page
            if count == 1:
                gathered.first_etag = page.etag
                gathered.began_at = cursor.began_at or page.answered_at or self._clock.now()
            yield page
            # A whole batch may share one time; stopping inside it would read the same pages for ever.
            if page.remaining == 0 or (count >= MAX_PAGES and gathered.since != cursor.since):
                return
            page = await self._client.next_page(page)

    def _gather(self, page: "Page", cursor: PollCursor, gathered: "_Gathered") -> None:
        for document in page.items or ():
            gathered.seen += 1
            gathered.advance(document.get("updated_at"))
            try:
                issue = issue_from_document(document, repository=self._repository)
            except InvalidInputError as error:
                rejected = RejectedRecord.of(orjson.dumps(document), str(error), line=1, ordinal=gathered.seen)
                gathered.rejected.append(rejected)
                continue
            if self._include_pull_requests or not issue.is_pull_request:
                gathered.events.extend(_events(issue, cursor))

    def _next_poll_at(self, gathered: "_Gathered") -> datetime:
        now = self._clock.now()
        page = gathered.last_page
        if page is None:
            return now + self._interval
        if page.remaining == 0 and page.resets_at is not None:
            return max(page.resets_at, now)
        if page.next_url is not None:
            return now
        return now + max(self._interval, timedelta(seconds=page.poll_interval_seconds or 0))


class _Gathered:
    def __init__(self, cursor: PollCursor) -> None:
        self._cursor = cursor
        self.events: list[NewEvent] = []
        self.rejected: list[RejectedRecord] = []
        self.since = cursor.since
        self.seen = 0
        self.first_etag: str | None = None
        self.began_at = cursor.began_at
        self.last_page: Page | None = None

    def advance(self, updated_at: object) -> None:
        """Move on past an issue, readable or not, so that it is not read for ever."""
        if not isinstance(updated_at, str):
            return
        try:
            moment = parse_timestamp(updated_at, what="updated_at")
        except InvalidInputError:
            return
        self.since = moment if self.since is None else max(self.since, moment)

    def outcome(self, next_poll_at: datetime, *, problem: str | None = None, failures: int = 0) -> PollOutcome:
        before = self._cursor
        is_whole = problem is None and self.last_page is not None and self.last_page.next_url is None
        if is_whole and not before.is_caught_up:
            # What changed while the old issues were read is asked for next; the time is GitHub's own.
            cursor = PollCursor(since=self.began_at, is_caught_up=True)
        else:
            # An etag speaks of one listing only: with another "since" it is another listing.
            is_same = is_whole and self.since == before.since
            etag = (self.first_etag or before.etag) if is_same else None
            cursor = replace(before, since=self.since, etag=etag, failures=failures, began_at=self.began_at)
        return PollOutcome(tuple(self.events), tuple(self.rejected), cursor, next_poll_at, problem)


def _events(issue: IssueRecord, cursor: PollCursor) -> Iterator[NewEvent]:
    if cursor.since is None or not cursor.is_caught_up:
        yield found(issue)
    elif issue.state == "closed" and issue.closed_at is not None and issue.closed_at >= cursor.since:
        yield closed(issue)
    elif issue.state == "open" and issue.created_at >= cursor.since:
        yield opened(issue)
        # The second in which polling stopped is read twice: it may hold a new issue or a change of a known one.
        if issue.created_at == cursor.since and issue.updated_at not in (None, issue.created_at):
            yield changed(issue)
    else:
        yield changed(issue)
