"""What an operation may read about its organization: a small, read-only, tenant-scoped contract.

Whoever implements ``Desk`` binds it to one organization; no method takes an
organization, so an operation cannot ask about another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from bailiwick.connectors.meters import MeterReading

Priority = Literal["P0", "P1", "P2", "P3"]
Status = Literal["todo", "in-progress", "review", "done", "blocked", "failed", "error"]


@dataclass(frozen=True, slots=True)
class IssueRow:
    """One issue as the lifecycle knows it, without its text.

    ``deadline_at`` is the end of its SLA; ``author`` is who opened it; ``agent_id`` who works on it.
    """

    key: str
    number: int
    title: str
    state: Literal["open", "closed"]
    created_at: datetime
    closed_at: datetime | None = None
    status: Status | None = None
    priority: Priority | None = None
    department: str | None = None
    operation: str | None = None
    labels: tuple[str, ...] = ()
    author: str | None = None
    agent_id: str | None = None
    deadline_at: datetime | None = None
    reopened_count: int = 0

    @property
    def resolution_seconds(self) -> float | None:
        """Seconds from creation to closing, or None while it is open."""
        return None if self.closed_at is None else (self.closed_at - self.created_at).total_seconds()

    def is_late(self, now: datetime) -> bool:
        """Say whether the SLA was missed: closed after the deadline, or still open after it."""
        return self.deadline_at is not None and (self.closed_at or now) > self.deadline_at


@dataclass(frozen=True, slots=True)
class IssueFilter:
    """Which issues are wanted; every given condition must hold. Newest first, at most ``limit``."""

    state: Literal["open", "closed"] | None = None
    departments: tuple[str, ...] = ()
    operation: str | None = None
    author: str | None = None
    agent_id: str | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    closed_since: datetime | None = None
    closed_until: datetime | None = None
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class SimilarIssue:
    """An earlier issue like a text: ``score`` 0..1, and what solved it (result or last comment) when known."""

    issue: IssueRow
    score: float
    resolution: str | None = None


@dataclass(frozen=True, slots=True)
class Article:
    """A help article found for a text; ``passage`` is the part that matched best, ``score`` 0..1."""

    article_id: str
    title: str
    passage: str
    score: float
    url: str | None = None


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent: how many issues it may hold at a time, how many it holds, how many hours a week it works."""

    agent_id: str
    name: str
    kind: str
    capacity: int
    load: int
    hours_per_week: float = 168.0

    @property
    def utilisation(self) -> float:
        """Held issues as a share of capacity; an agent without capacity is full."""
        return self.load / self.capacity if self.capacity > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished attempt of an agent at an operation: how long it took and whether it passed its gates.

    ``passed`` is None where no gate measured anything.
    """

    agent_id: str
    agent_kind: str
    operation: str
    seconds: float
    passed: bool | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of the organization's log; ``actor`` is the member, key or agent behind it."""

    event_id: str
    type: str
    occurred_at: datetime
    actor: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person or key known to the organization, the roles it holds and until when."""

    name: str
    kind: Literal["person", "key"] = "person"
    roles: tuple[str, ...] = ()
    can_approve: bool = False
    expires_at: datetime | None = None


class Desk(Protocol):
    """Read-only access to one organization's records. Sequences may be empty; nothing here changes anything."""

    def now(self) -> datetime:
        """Return the time that decisions are made against (UTC)."""
        ...

    async def find_issue(self, key: str) -> IssueRow | None:
        """Return the lifecycle's row of an issue, or None when it is not tracked."""
        ...

    async def issues(self, wanted: IssueFilter) -> Sequence[IssueRow]:
        """Return the issues that pass the filter, newest first."""
        ...

    async def similar(self, text: str, *, limit: int, exclude_key: str | None = None) -> Sequence[SimilarIssue]:
        """Return the issues most like a text, best first, never the excluded one."""
        ...

    async def articles(self, text: str, *, limit: int) -> Sequence[Article]:
        """Return the help articles most like a text, best first."""
        ...

    async def agents(self, kind: str | None = None) -> Sequence[AgentRow]:
        """Return the active agents, all or of one kind."""
        ...

    async def attempts(
        self, *, agent_kind: str | None = None, operation: str | None = None, limit: int = 2_000
    ) -> Sequence[Attempt]:
        """Return the newest finished attempts, of one kind of agent and one operation when named."""
        ...

    async def events(
        self, *, since: datetime, until: datetime, types: Sequence[str] = (), limit: int = 100_000
    ) -> Sequence[EventRow]:
        """Return the events of ``[since, until)``, oldest first, of the given types or all."""
        ...

    async def readings(self, meter_id: str, *, since: datetime, until: datetime) -> Sequence[MeterReading]:
        """Return the readings of a meter in ``[since, until)``, oldest first."""
        ...

    async def members(self) -> Sequence[Member]:
        """Return the people and keys of the organization."""
        ...
