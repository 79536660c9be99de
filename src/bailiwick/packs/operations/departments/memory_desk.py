"""A desk over records held in memory: the twin of the SQL one, for tests and dry runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sklearn.feature_extraction.text import TfidfVectorizer

from bailiwick.connectors.meters import MeterReading
from bailiwick.packs.operations.departments.desk import (
    AgentRow,
    Article,
    Attempt,
    EventRow,
    IssueFilter,
    IssueRow,
    Member,
    SimilarIssue,
)


@dataclass(frozen=True, slots=True)
class MemoryDesk:
    """Answers like any desk; similarity is the cosine of TF-IDF vectors over the texts it holds.

    ``texts`` and ``resolutions`` go by issue key (an issue without a text is known by its title);
    the ``score`` of the articles given is ignored.
    """

    clock: datetime
    issue_rows: Sequence[IssueRow] = ()
    texts: Mapping[str, str] | None = None
    resolutions: Mapping[str, str] | None = None
    article_rows: Sequence[Article] = ()
    agent_rows: Sequence[AgentRow] = ()
    attempt_rows: Sequence[Attempt] = ()
    event_rows: Sequence[EventRow] = ()
    reading_rows: Sequence[MeterReading] = ()
    member_rows: Sequence[Member] = ()

    def now(self) -> datetime:
        """Return the fixed time."""
        return self.clock

    async def find_issue(self, key: str) -> IssueRow | None:
        """Return the row of that key."""
        return next((row for row in self.issue_rows if row.key == key), None)

    async def issues(self, wanted: IssueFilter) -> Sequence[IssueRow]:
        """Return the rows that pass the filter, newest first."""
        found = [row for row in self.issue_rows if _passes(row, wanted)]
        return sorted(found, key=lambda row: row.created_at, reverse=True)[: wanted.limit]

    async def similar(self, text: str, *, limit: int, exclude_key: str | None = None) -> Sequence[SimilarIssue]:
        """Return the rows most like the text."""
        rows = [row for row in self.issue_rows if row.key != exclude_key]
        scores = _cosines(text, [(self.texts or {}).get(row.key, row.title) for row in rows])
        ranked = sorted(zip(rows, scores, strict=True), key=lambda pair: -pair[1])[:limit]
        known = self.resolutions or {}
        return [SimilarIssue(row, score, known.get(row.key)) for row, score in ranked if score > 0]

    async def articles(self, text: str, *, limit: int) -> Sequence[Article]:
        """Return the articles most like the text."""
        scores = _cosines(text, [f"{article.title} {article.passage}" for article in self.article_rows])
        ranked = sorted(zip(self.article_rows, scores, strict=True), key=lambda pair: -pair[1])[:limit]
        return [replace(article, score=score) for article, score in ranked if score > 0]

    async def agents(self, kind: str | None = None) -> Sequence[AgentRow]:
        """Return the agents, all or of one kind."""
        return [row for row in self.agent_rows if kind in (None, row.kind)]

    async def attempts(
        self, *, agent_kind: str | None = None, operation: str | None = None, limit: int = 2_000
    ) -> Sequence[Attempt]:
        """Return the newest attempts."""
        found = [
            row
            for row in self.attempt_rows
            if agent_kind in (None, row.agent_kind) and operation in (None, row.operation)
        ]
        return sorted(found, key=lambda row: row.finished_at, reverse=True)[:limit]

    async def events(
        self, *, since: datetime, until: datetime, types: Sequence[str] = (), limit: int = 100_000
    ) -> Sequence[EventRow]:
        """Return the events of the period, oldest first."""
        found = [
            row for row in self.event_rows if since <= row.occurred_at < until and (not types or row.type in types)
        ]
        return sorted(found, key=lambda row: row.occurred_at)[:limit]

    async def readings(self, meter_id: str, *, since: datetime, until: datetime) -> Sequence[MeterReading]:
        """Return the meter's readings of the period, oldest first."""
        found = [row for row in self.reading_rows if row.meter_id == meter_id and since <= row.read_at < until]
        return sorted(found, key=lambda row: row.read_at)

    async def members(self) -> Sequence[Member]:
        """Return the members."""
        return self.member_rows


def _passes(row: IssueRow, wanted: IssueFilter) -> bool:
    exact = (
        (wanted.state, row.state),
        (wanted.operation, row.operation),
        (wanted.author, row.author),
        (wanted.agent_id, row.agent_id),
    )
    if any(asked is not None and asked != held for asked, held in exact):
        return False
    if wanted.departments and row.department not in wanted.departments:
        return False
    return _within(row.created_at, wanted.created_since, wanted.created_until) and _within(
        row.closed_at, wanted.closed_since, wanted.closed_until
    )


def _within(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if since is None and until is None:
        return True
    if moment is None:
        return False
    return (since is None or moment >= since) and (until is None or moment < until)


def _cosines(text: str, others: Sequence[str]) -> list[float]:
    if not others:
        return []
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"[^\W_]{2,40}", stop_words="english")  # noqa: S106 - a pattern of words
    try:
        matrix = vectorizer.fit_transform([*others, text])
    except ValueError:
        # Nothing but stop words: no text is like any other.
        return [0.0] * len(others)
    products = (matrix[:-1] @ matrix[-1].T).toarray().ravel()
    return [min(1.0, float(value)) for value in products]
