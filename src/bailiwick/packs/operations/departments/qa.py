"""Quality assurance: scores what an issue proves about a change. What is not proved earns nothing and is named."""

from collections.abc import Iterable
from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.kernel.intervals import wilson_interval
from bailiwick.packs.operations.departments.analytics_tables import read_tables
from bailiwick.packs.operations.departments.body import read_discussion
from bailiwick.packs.operations.departments.desk import Desk
from bailiwick.packs.operations.departments.qa_benchmarks import Benchmark, performance_points, read_benchmarks
from bailiwick.packs.operations.departments.qa_policy import Policy, review_policy
from bailiwick.packs.operations.departments.qa_reports import Reports, find_flaky, read_reports
from bailiwick.packs.operations.departments.qa_source import SourceReview, review_source
from bailiwick.packs.operations.departments.work import (
    MAX_LISTED,
    Evidence,
    WorkResult,
    bullets,
    cannot_determine,
    quoted,
)

WEIGHTS = {"tests": 30, "security": 30, "performance": 20, "coverage": 10, "compliance": 10}
GATES = {"tests": 95.0, "coverage": 80.0, "security": 85.0, "performance": 90.0}
PASS_SCORE = 60.0

NEEDS = {
    "tests": "test report: paste JUnit XML (or pytest output with its last line) in a fenced block",
    "security": "source to scan: paste the changed code in a fenced block that names its language",
    "performance": (
        "performance: paste pytest-benchmark JSON of this run and an earlier one, or lines such as `search: 180 ms"
        " (budget 200 ms)`"
    ),
    "coverage": "coverage report: paste Cobertura XML (`coverage xml`) or `coverage report` output in a fenced block",
    "compliance": (
        "code or configuration to check against the policy: paste it in a fenced block that names its language"
    ),
}


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that an issue proves about quality; a part is 0..100, or None when nothing proves it."""

    reports: Reports
    benchmarks: tuple[Benchmark, ...]
    source: SourceReview
    policy: Policy

    @property
    def parts(self) -> dict[str, float | None]:
        """The five weighted parts."""
        ran = self.reports.passed + self.reports.failed
        coverage = self.reports.coverage
        return {
            "tests": 100.0 * self.reports.passed / ran if ran else None,
            "security": self.source.points,
            "performance": performance_points(self.benchmarks),
            "coverage": None if coverage is None else 100.0 * coverage.rate,
            "compliance": self.policy.points,
        }

    @property
    def criticals(self) -> list[str]:
        """Critical findings, each with its place."""
        return [f"{one.rule} ({one.source})" for one in self.source.findings if one.severity == "critical"]


@dataclass(frozen=True, slots=True)
class Score:
    """``lowest`` counts only what is proved, ``highest`` grants every open part in full; equal when all are known."""

    lowest: float
    highest: float
    verdict: str


def gather_proof(issue: IssueRecord) -> Proof:
    """Read the reports, benchmarks and source code that stand in an issue and its comments."""
    text = read_discussion(issue)
    reports = read_reports(text.blocks)
    benchmarks = tuple(read_benchmarks(text.blocks, text.prose, read_tables(text)))
    return Proof(reports, benchmarks, review_source(text.blocks), review_policy(text.blocks, reports.coverage))


def score(parts: dict[str, float | None], criticals: int) -> Score:
    """Weigh the parts; the verdict is stated when no open part could change it."""
    lowest = sum(WEIGHTS[name] * value / 100 for name, value in parts.items() if value is not None)
    highest = lowest + sum(WEIGHTS[name] for name, value in parts.items() if value is None)
    if criticals or highest < PASS_SCORE:
        verdict = "fail"
    elif lowest >= PASS_SCORE and parts["security"] is not None:
        verdict = "pass"
    else:
        verdict = "undetermined"
    return Score(round(lowest, 2), round(highest, 2), verdict)


async def judge_quality(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Weigh tests 30, security 30, performance 20, coverage 10, compliance 10; pass from 60 without a critical."""
    proof = gather_proof(issue)
    parts = proof.parts
    total = score(parts, len(proof.criticals))
    gates = {name: None if (part := parts[name]) is None else part >= limit for name, limit in GATES.items()}
    open_parts = [name for name, value in parts.items() if value is None]
    data: JsonObject = {
        "parts": {name: None if value is None else round(value, 2) for name, value in parts.items()},
        "weights": WEIGHTS,
        "score": None if open_parts else total.lowest,
        "score_at_least": total.lowest,
        "score_at_most": total.highest,
        "verdict": total.verdict,
        "gates": gates,
        "gate_limits": GATES,
        "criticals": proof.criticals[:MAX_LISTED],
        "tests": {"passed": proof.reports.passed, "failed": proof.reports.failed},
        "findings": [
            {"rule": one.rule, "severity": one.severity, "source": one.source}
            for one in proof.source.findings[:MAX_LISTED]
        ],
        "policy_violations": [{"rule": one.rule, "source": one.source} for one in proof.policy.violations[:MAX_LISTED]],
    }
    if open_parts:
        missing = [NEEDS[name] for name in open_parts] + [
            f"a readable report instead of {text}" for text in proof.reports.refused
        ]
        result = cannot_determine("testing", missing, data=data, evidence=_evidence(proof))
        bound = f"score between {total.lowest:g} and {total.highest:g} of 100, verdict {total.verdict}"
        return _with_summary(result, f"{bound}; cannot determine: {', '.join(open_parts)}")
    failed_gates = [f"{name} {parts[name]:.1f} < {GATES[name]:g}" for name, passed in gates.items() if passed is False]
    summary = f"score {total.lowest:g}/100: {total.verdict}"
    said = [f"{name}: {value:.1f}/100 (weight {WEIGHTS[name]})" for name, value in parts.items() if value is not None]
    said += [f"critical: {one}" for one in proof.criticals] + [f"gate not met: {one}" for one in failed_gates]
    return WorkResult(
        operation="testing",
        status="done",
        summary=summary + (f"; gates not met: {', '.join(failed_gates)}" if failed_gates else "; every gate met"),
        data=data,
        evidence=_evidence(proof),
        proposed_comment=f"{summary}\n\n{bullets(said)}",
        proposed_labels=(f"qa:{total.verdict}",),
    )


async def find_flaky_tests(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Name the tests that passed and failed in the reports given, with the interval of their failure rate."""
    reports = gather_proof(issue).reports
    flaky = find_flaky(reports.cases)
    needs = "two or more JUnit XML reports of the same code, each in its own fenced block"
    if not reports.cases or (reports.runs < 2 and not flaky):
        found = f" (found {reports.runs})" if reports.runs else ""
        return cannot_determine("flaky-tests", [f"{needs}{found}"])
    rows = []
    for name, (good, bad) in sorted(flaky.items(), key=lambda one: -one[1][1]):
        low, high = wilson_interval(bad, good + bad)
        rows.append(
            {"test": name, "passed": good, "failed": bad, "failure_rate_interval": [round(low, 3), round(high, 3)]}
        )
    total = len({case.name for case in reports.cases})
    said = [
        f"{quoted(str(row['test']))}: failed {row['failed']} of {row['failed'] + row['passed']}"
        for row in rows[:MAX_LISTED]
    ]
    return WorkResult(
        operation="flaky-tests",
        status="done",
        summary=f"{len(rows)} of {total} tests passed and failed over {reports.runs} runs",
        data={"runs": reports.runs, "tests": total, "flaky": rows[:MAX_LISTED], "flaky_count": len(rows)},
        evidence=tuple(
            Evidence(source, "JUnit XML") for source in dict.fromkeys(case.source for case in reports.cases)
        ),
        proposed_comment=bullets(said) if said else None,
        proposed_labels=("flaky-test",) if rows else (),
    )


async def scan_source(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Scan the source blocks for unsafe constructs and state the security points against their gate."""
    review = gather_proof(issue).source
    if review.points is None:
        return cannot_determine(
            "static-analysis", [NEEDS["security"], *(f"readable source instead of {one}" for one in review.unreadable)]
        )
    counts = {
        severity: sum(one.severity == severity for one in review.findings)
        for severity in ("critical", "high", "medium", "low")
    }
    said = [f"{one.severity}: {one.rule} ({one.source})" for one in review.findings]
    met = review.points >= GATES["security"] and not counts["critical"]
    return WorkResult(
        operation="static-analysis",
        status="done",
        summary=(
            f"{len(review.findings)} finding(s) in {len(review.languages)} block(s), security {review.points:g}/100,"
            f" gate {'met' if met else 'not met'}"
        ),
        data={
            "points": review.points,
            "gate": GATES["security"],
            "gate_met": met,
            "counts": counts,
            "languages": list(review.languages),
            "findings": said[:MAX_LISTED],
        },
        evidence=tuple(Evidence(one.source, one.rule) for one in review.findings[:MAX_LISTED]),
        missing=tuple(f"readable source instead of {one}" for one in review.unreadable),
        proposed_comment=bullets(said[:MAX_LISTED]) if said else None,
        proposed_labels=("security",) if counts["critical"] else (),
    )


async def measure_performance(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Hold the measured speeds against their budget or an earlier run."""
    benchmarks = gather_proof(issue).benchmarks
    points = performance_points(benchmarks)
    rows = [
        {
            "name": one.name,
            "seconds": one.seconds,
            "limit_seconds": one.limit_seconds,
            "against": one.against,
            "source": one.source,
        }
        for one in benchmarks[:MAX_LISTED]
    ]
    unlimited = [one.name for one in benchmarks if one.limit_seconds is None]
    if points is None:
        return cannot_determine("performance-testing", [NEEDS["performance"]], data={"benchmarks": rows})
    slow = [one for one in benchmarks if one.limit_seconds is not None and one.seconds > one.limit_seconds]
    said = [
        f"{quoted(one.name)}: {one.seconds:.4g} s against {one.limit_seconds:.4g} s ({one.against})" for one in slow
    ]
    met = points >= GATES["performance"]
    return WorkResult(
        operation="performance-testing",
        status="done",
        summary=(
            f"performance {points:.1f}/100, {len(slow)} of {len(benchmarks) - len(unlimited)} beyond their limit, gate"
            f" {'met' if met else 'not met'}"
        ),
        data={
            "points": round(points, 2),
            "gate": GATES["performance"],
            "gate_met": met,
            "benchmarks": rows,
            "too_slow": [one.name for one in slow],
        },
        evidence=tuple(Evidence(one.source, f"{one.name}: {one.seconds:.4g} s") for one in benchmarks[:MAX_LISTED]),
        missing=tuple(f"a budget or an earlier run of {quoted(name)}" for name in unlimited[:MAX_LISTED]),
        proposed_comment=bullets(said) if said else None,
        proposed_labels=("performance",) if slow else (),
    )


async def measure_coverage(issue: IssueRecord, desk: Desk) -> WorkResult:
    """State the line coverage of the last report against its gate, and the files that tests reach least."""
    reports = gather_proof(issue).reports
    coverage = reports.coverage
    if coverage is None:
        return cannot_determine(
            "coverage", [NEEDS["coverage"], *(f"a readable report instead of {one}" for one in reports.refused)]
        )
    percent = 100 * coverage.rate
    before = 100 * reports.coverages[-2].rate if len(reports.coverages) > 1 else None
    change = "" if before is None else f", {percent - before:+.1f} points against the report before"
    worst = [f"{quoted(name)}: {100 * rate:.1f}%" for name, rate in coverage.worst_files]
    met = percent >= GATES["coverage"]
    return WorkResult(
        operation="coverage",
        status="done",
        summary=f"coverage {percent:.1f}%{change}, gate {GATES['coverage']:g}% {'met' if met else 'not met'}",
        data={
            "percent": round(percent, 2),
            "lines": coverage.lines,
            "gate": GATES["coverage"],
            "gate_met": met,
            "percent_before": before,
            "worst_files": dict(coverage.worst_files),
        },
        evidence=(Evidence(coverage.source, f"coverage {percent:.1f}%"),),
        proposed_comment=bullets([f"coverage {percent:.1f}%{change}", *worst]),
        proposed_labels=() if met else ("low-coverage",),
    )


def _with_summary(result: WorkResult, summary: str) -> WorkResult:
    return WorkResult(
        result.operation,
        result.status,
        summary,
        result.data,
        result.evidence,
        result.missing,
        f"{summary}\n\n{result.proposed_comment}",
        result.proposed_labels,
    )


def _evidence(proof: Proof) -> tuple[Evidence, ...]:
    def places() -> Iterable[Evidence]:
        for source in dict.fromkeys(case.source for case in proof.reports.cases):
            yield Evidence(source, "JUnit XML")
        for _, _, source in proof.reports.summaries:
            yield Evidence(source, "test summary line")
        if proof.reports.coverage is not None:
            yield Evidence(proof.reports.coverage.source, f"coverage {100 * proof.reports.coverage.rate:.1f}%")
        for one in proof.benchmarks:
            yield Evidence(one.source, f"{one.name}: {one.seconds:.4g} s")
        for one in proof.source.findings:
            yield Evidence(one.source, f"{one.severity}: {one.rule}")

    return tuple(places())[:MAX_LISTED]
