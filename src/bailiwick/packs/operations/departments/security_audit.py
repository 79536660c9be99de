"""Audit: who holds which account, or who did what in the event log and where the log is silent."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.analytics_tables import read_tables
from bailiwick.packs.operations.departments.body import issue_lines, read_discussion
from bailiwick.packs.operations.departments.desk import Desk, EventRow
from bailiwick.packs.operations.departments.figures import say_duration
from bailiwick.packs.operations.departments.period import Period, read_period
from bailiwick.packs.operations.departments.phrases import any_phrase
from bailiwick.packs.operations.departments.security_accounts import AccountReview, review_accounts
from bailiwick.packs.operations.departments.work import (
    MAX_LISTED,
    Evidence,
    WorkResult,
    bullets,
    cannot_determine,
    quoted,
)

OPERATION = "audit"
DEFAULT_DAYS = 30
MIN_SILENCE = timedelta(hours=1)
MAX_EVENTS = 100_000

_SENSITIVE = re.compile(
    r"(?:^|[._])(?:key|secret|member|role|permission|policy|authority|consent|login|export|delet\w{0,6}|effect|organization)(?:s|$|[._])"
)

_RIGHTS = any_phrase(
    "who (?:may|can|is allowed|has access|has the right)", "(?:only )?the right people", "permissions?",
    "access rights?", "who is able",
)  # fmt: skip
_LOG = any_phrase(
    "logs?", "logged", "events?", "activit(?:y|ies)", "trail", "who did", r"(?:last|past) \d{1,3} \w{1,10}"
)
_RIGHTS_NEED = (
    "who holds which right in that system: paste the list as a table with the columns account, role, "
    "second_factor, days_since_login"
)


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch without events that is long for this log."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.until - self.since).total_seconds()


async def audit_records(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Review the list of accounts that the issue holds, else the organization's event log of the asked period."""
    text = read_discussion(issue)
    accounts = review_accounts(read_tables(text, with_texts=True), text.prose)
    if accounts is not None:
        return _report_accounts(accounts)
    if _asks_for_rights(issue):
        return cannot_determine(OPERATION, [_RIGHTS_NEED])
    return await _audit_events(issue, desk)


def _report_accounts(review: AccountReview) -> WorkResult:
    flagged = list(dict.fromkeys(one.account for one in review.findings))
    said = [f"{quoted(one.account, 60)}: {quoted(one.detail)} ({one.rule})" for one in review.findings]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=f"{len(said)} finding(s) on {len(flagged)} of {review.accounts} accounts: {'; '.join(said[:3])}",
        data={
            "accounts": review.accounts,
            "idle_limit_days": review.idle_days,
            "findings": [
                {"account": one.account[:100], "rule": one.rule, "detail": one.detail[:200]}
                for one in review.findings[:MAX_LISTED]
            ],
            "findings_count": len(review.findings),
            "by_rule": dict(Counter(one.rule for one in review.findings)),
        },
        evidence=(Evidence(review.source, f"table of {review.accounts} accounts"),),
        missing=review.not_checked,
        proposed_comment=bullets(said[:MAX_LISTED]) if said else f"{review.accounts} accounts, none breaks a rule.",
        proposed_labels=("access-finding",) if said else (),
    )


def _asks_for_rights(issue: IssueRecord) -> bool:
    """Say whether the question is who may do something, which a log of what was done does not answer."""
    said = "\n".join(line.text for line in issue_lines(issue))
    return _RIGHTS.search(said) is not None and _LOG.search(said) is None


async def _audit_events(issue: IssueRecord, desk: Desk) -> WorkResult:
    period = read_period(issue_lines(issue), desk.now(), default_days=DEFAULT_DAYS)
    events = await desk.events(since=period.since, until=period.until, limit=MAX_EVENTS)
    said = f"{period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC"
    if not events:
        return cannot_determine(
            OPERATION,
            [
                f"events from {said}: the log holds none; name a period with events, e.g. `last 30 days`",
                "or the accounts to review: a table with the columns account, role, second_factor, days_since_login",
            ],
            data={"period": _period(period), "events": 0},
        )
    silences = find_silences(events)
    sensitive = [event for event in events if _SENSITIVE.search(event.type)]
    ownerless = [event for event in events if not event.actor]
    # An event type can be ownerless by nature (a meter speaks for itself); a sensitive one cannot.
    concerns = [
        f"{event.type} at {event.occurred_at:%Y-%m-%d %H:%M} UTC has no actor" for event in sensitive if not event.actor
    ]
    concerns += [f"no events for {say_duration(one.seconds)} from {one.since:%Y-%m-%d %H:%M} UTC" for one in silences]
    missing = (
        (f"events beyond the newest {MAX_EVENTS:,}: ask for a shorter period",) if len(events) >= MAX_EVENTS else ()
    )
    by_type = Counter(event.type for event in events)
    by_actor = Counter(event.actor or "(none)" for event in events)
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=(
            f"{len(events):,} events of {len(by_type)} types by {len(by_actor) - ('(none)' in by_actor)} actors,"
            f" {said}; {len(sensitive)} sensitive, {len(ownerless)} without actor, {len(silences)} unusual silence(s)"
        ),
        data={
            "period": _period(period),
            "events": len(events),
            "by_type": dict(by_type.most_common(MAX_LISTED)),
            "by_actor": dict(by_actor.most_common(MAX_LISTED)),
            "sensitive": [_row(event) for event in sensitive[-MAX_LISTED:]],
            "sensitive_count": len(sensitive),
            "without_actor": len(ownerless),
            "silences": [
                {"since": one.since.isoformat(), "until": one.until.isoformat(), "seconds": one.seconds}
                for one in silences[:MAX_LISTED]
            ],
            "concerns": concerns[:MAX_LISTED],
        },
        evidence=tuple(
            Evidence(f"event {event.event_id}", f"{event.type} by {event.actor or 'nobody named'}")
            for event in sensitive[-MAX_LISTED:]
        ),
        missing=missing,
        proposed_comment=_comment(said, by_type, by_actor, concerns),
    )


def find_silences(events: Sequence[EventRow]) -> list[Silence]:
    """Return gaps between events that lie beyond Tukey's outer fence of the log gaps and last at least an hour.

    Fewer than 20 events say too little about what is usual; then there is no answer, and none is given.
    """
    if len(events) < 20:
        return []
    moments = np.array([event.occurred_at.timestamp() for event in events])
    gaps = np.diff(moments)
    logs = np.log(np.maximum(gaps, 1e-3))
    low, high = np.quantile(logs, [0.25, 0.75])
    limit = max(float(np.exp(high + 3 * (high - low))), MIN_SILENCE.total_seconds())
    return [
        Silence(events[index].occurred_at, events[index + 1].occurred_at)
        for index in np.flatnonzero(gaps > limit).tolist()
    ]


def _comment(said: str, by_type: Counter[str], by_actor: Counter[str], concerns: Sequence[str]) -> str:
    types = [f"{quoted(name)}: {count:,}" for name, count in by_type.most_common(10)]
    actors = [f"{quoted(name)}: {count:,}" for name, count in by_actor.most_common(10)]
    tail = f"\n\nTo look at:\n\n{bullets(concerns[:10])}" if concerns else ""
    return f"Events {said}\n\nBy type:\n\n{bullets(types)}\n\nBy actor:\n\n{bullets(actors)}{tail}"


def _row(event: EventRow) -> dict[str, str | None]:
    return {"event_id": event.event_id, "type": event.type, "actor": event.actor, "at": event.occurred_at.isoformat()}


def _period(period: Period) -> dict[str, str]:
    return {"since": period.since.isoformat(), "until": period.until.isoformat(), "source": period.source}
