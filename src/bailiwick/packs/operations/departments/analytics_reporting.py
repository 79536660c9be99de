"""Reporting: what a period's issues look like and what really changed against the period before."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import issue_lines
from bailiwick.packs.operations.departments.desk import Desk, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.figures import quantile, rounded, say_duration
from bailiwick.packs.operations.departments.period import Period, read_period
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

OPERATION = "reporting"
DEFAULT_DAYS = 28
SIGNIFICANT = 0.05
MAX_ISSUES = 100_000


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """The issues opened and the issues closed in a period."""

    opened: Sequence[IssueRow]
    closed: Sequence[IssueRow]

    @property
    def resolutions(self) -> list[float]:
        """Seconds to resolution of the issues closed in the period."""
        return [seconds for row in self.closed if (seconds := row.resolution_seconds) is not None]

    @property
    def sla(self) -> tuple[int, int]:
        """How many closed issues had a deadline, and how many of them met it."""
        due = [row for row in self.closed if row.deadline_at is not None and row.closed_at is not None]
        return len(due), sum(row.closed_at <= row.deadline_at for row in due if row.closed_at and row.deadline_at)


async def write_report(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Report the asked period: counts, resolution times, SLA share, and the change against the period before."""
    now = desk.now()
    period = read_period(issue_lines(issue), now, default_days=DEFAULT_DAYS)
    before_period = period.before()
    figures, before = await _figures(period, desk), await _figures(before_period, desk)
    said_period = f"{period.since:%Y-%m-%d} to {period.until:%Y-%m-%d} UTC"
    if not figures.opened and not figures.closed:
        return cannot_determine(
            OPERATION,
            [
                f"issues opened or closed {said_period}: there are none on record; name another period or import the"
                " history"
            ],
            data={"period": _period(period)},
        )
    still_open = await desk.issues(IssueFilter(state="open", limit=MAX_ISSUES))
    due, met = figures.sla
    missing = [] if figures.resolutions else ["resolution times: nothing was closed in the period"]
    missing += [] if due else ["SLA share: no issue closed in the period had a deadline"]
    is_comparable = bool(await desk.issues(IssueFilter(created_until=before_period.since, limit=1)))
    if not is_comparable:
        missing.append(f"the period before, to compare with: the record begins after {before_period.since:%Y-%m-%d}")
    changes = compare(figures, before) if is_comparable else []
    said = _said(figures, still_open, changes)
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=(
            f"{said_period}: {len(figures.opened)} opened, {len(figures.closed)} closed, {len(still_open)} open now"
        ),
        data={
            "period": _period(period),
            "opened": len(figures.opened),
            "closed": len(figures.closed),
            "open_now": len(still_open),
            "opened_by_state": _counts(row.state for row in figures.opened),
            "opened_by_priority": _counts(row.priority or "none" for row in figures.opened),
            "opened_by_department": _counts(row.department or "none" for row in figures.opened),
            "resolution_median_seconds": rounded(quantile(figures.resolutions, 0.5), 0),
            "resolution_p90_seconds": rounded(quantile(figures.resolutions, 0.9), 0),
            "sla": {"with_deadline": due, "met": met, "share": rounded(met / due) if due else None},
            "before": {"opened": len(before.opened), "closed": len(before.closed)},
            "changes": changes,
        },
        evidence=(
            Evidence(
                "issues on record",
                f"{len(figures.opened)} opened and {len(figures.closed)} closed, period from {period.source}",
            ),
        ),
        missing=tuple(missing),
        proposed_comment=f"{said_period} ({period.source})\n\n{bullets(said)}",
    )


def compare(now: PeriodFigures, before: PeriodFigures) -> list[JsonObject]:
    """Compare two periods of equal length; each change says by which test and whether chance explains it.

    Counts: exact binomial test of equal rates. Resolution: Mann-Whitney U. SLA: Fisher's exact test.
    """
    changes = [_count_change("opened", len(now.opened), len(before.opened))]
    changes.append(_count_change("closed", len(now.closed), len(before.closed)))
    first, second = now.resolutions, before.resolutions
    if len(first) >= 5 and len(second) >= 5:
        _, p = map(float, stats.mannwhitneyu(first, second))
        changes.append(_change("median resolution in hours", _hours(second), _hours(first), p, "Mann-Whitney U"))
    due, met = now.sla
    due_before, met_before = before.sla
    if due and due_before:
        _, p = map(float, stats.fisher_exact([[met, due - met], [met_before, due_before - met_before]]))
        changes.append(_change("SLA share", met_before / due_before, met / due, p, "Fisher's exact test"))
    return changes


def _count_change(name: str, now: int, before: int) -> JsonObject:
    p = float(stats.binomtest(now, now + before, 0.5).pvalue) if now + before else 1.0
    return _change(name, before, now, p, "exact binomial test")


def _change(name: str, before: float, now: float, p: float, test: str) -> JsonObject:
    return {
        "figure": name,
        "before": rounded(before),
        "now": rounded(now),
        "p": rounded(p),
        "significant": p < SIGNIFICANT,
        "test": test,
    }


def _hours(seconds: Sequence[float]) -> float:
    return (quantile(seconds, 0.5) or 0.0) / 3600


def _said(figures: PeriodFigures, still_open: Sequence[IssueRow], changes: Sequence[JsonObject]) -> list[str]:
    priorities = Counter(row.priority or "none" for row in figures.opened)
    departments = Counter(row.department or "none" for row in figures.opened)
    said = [f"opened {len(figures.opened)}, closed {len(figures.closed)}, open now {len(still_open)}"]
    if figures.opened:
        said.append("opened by priority: " + ", ".join(f"{name} {priorities[name]}" for name in sorted(priorities)))
        said.append(
            "opened by department: "
            + ", ".join(f"{quoted(name, 60)} {count}" for name, count in departments.most_common(8))
        )
    if figures.resolutions:
        median, p90 = quantile(figures.resolutions, 0.5), quantile(figures.resolutions, 0.9)
        said.append(
            f"resolution: median {say_duration(median or 0)}, 90% within {say_duration(p90 or 0)} (n"
            f" {len(figures.resolutions)})"
        )
    due, met = figures.sla
    if due:
        said.append(f"SLA met: {met} of {due} ({100 * met / due:.1f}%)")
    for one in changes:
        verdict = "a real change" if one["significant"] else "within chance"
        said.append(
            f"{one['figure']}: {one['before']:g} before, {one['now']:g} now; {verdict} (p {one['p']:.2g},"
            f" {one['test']})"
        )
    return said


async def _figures(period: Period, desk: Desk) -> PeriodFigures:
    opened = await desk.issues(IssueFilter(created_since=period.since, created_until=period.until, limit=MAX_ISSUES))
    closed = await desk.issues(IssueFilter(closed_since=period.since, closed_until=period.until, limit=MAX_ISSUES))
    return PeriodFigures(opened, closed)


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _period(period: Period) -> JsonObject:
    return {
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "source": period.source,
        "days": period.days,
    }
