"""Threat detection: what an issue shows of vulnerabilities, leaked credentials, attacks, and how severe it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.departments.body import Line, issue_lines, read_discussion
from bailiwick.packs.operations.departments.cvss import VECTOR, BaseScore, base_score
from bailiwick.packs.operations.departments.desk import Desk
from bailiwick.packs.operations.departments.secrets_in_text import SecretFinding, find_secrets
from bailiwick.packs.operations.departments.security_indicators import (
    RANKS,
    Indicator,
    PatternFinding,
    Rank,
    find_indicators,
    find_patterns,
    is_public,
)
from bailiwick.packs.operations.departments.work import MAX_LISTED, Evidence, WorkResult, bullets, cannot_determine
from bailiwick.packs.operations.injection import screen

OPERATION = "threat-detection"

SEVERITY_RULES: tuple[tuple[str, Rank], ...] = (
    ("a credential in a known format is public in the issue", "critical"),
    ("a value named like a secret has the entropy of one", "medium"),
    ("the text gives orders to an automated reader", "high"),
    ("a CVE is named without a vector to score it", "medium"),
    ("only addresses, hashes or hosts are named", "low"),
)
"""Severity beside CVSS ratings and the ranks of the patterns. The severity of an issue is the highest that applies."""


@dataclass(frozen=True, slots=True)
class _Threats:
    secrets: tuple[SecretFinding, ...]
    patterns: tuple[PatternFinding, ...]
    indicators: tuple[Indicator, ...]
    scores: tuple[tuple[BaseScore, str], ...]
    bad_vectors: tuple[str, ...]
    injected: tuple[str, ...]

    def of_kind(self, *kinds: str) -> list[Indicator]:
        return [one for one in self.indicators if one.kind in kinds]


async def detect_threats(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Find threats in the title, body and comments, with a severity by stated rules; secrets are shown masked."""
    lines = list(issue_lines(issue))
    if not any(line.text.strip() for line in lines[1:]):
        return cannot_determine(
            OPERATION, ["the text to examine: paste the log, alert, code or advisory into the issue body"]
        )
    threats = _find(lines)
    severity, reasons = _severity(threats)
    missing = list(threats.bad_vectors)
    cves = threats.of_kind("cve")
    if cves and not threats.scores:
        names = ", ".join(one.value for one in cves[:5])
        missing.append(f"the CVSS vector of {names}: paste the string that begins with CVSS:3.1/")
    if not reasons and not read_discussion(issue).blocks:
        # Prose in which no rule finds anything proves neither danger nor safety.
        need = (
            f"evidence to examine: no rule finds anything in {len(lines)} lines of prose; paste the log, alert or code"
        )
        return cannot_determine(OPERATION, [f"{need} in a fenced block"], data=_data(threats, severity, [], len(lines)))
    found = "; ".join(reasons) or f"nothing found in {len(lines)} lines, fenced blocks included"
    summary = f"severity {severity}: {found}"
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=summary,
        data=_data(threats, severity, reasons, len(lines)),
        evidence=_evidence(threats),
        missing=tuple(missing),
        proposed_comment=_comment(severity, reasons, threats),
        proposed_labels=(f"severity:{severity}",) if severity != "none" else (),
    )


def _find(lines: Sequence[Line]) -> _Threats:
    scores: list[tuple[BaseScore, str]] = []
    bad: list[str] = []
    for line in lines:
        for found in VECTOR.finditer(line.text):
            try:
                scores.append((base_score(found.group()), line.source))
            except InvalidInputError as error:
                bad.append(f"a CVSS 3.0 or 3.1 base vector ({line.source}: {error})")
    return _Threats(
        secrets=tuple(find_secrets(lines)),
        patterns=tuple(find_patterns(lines)),
        indicators=tuple(find_indicators(lines)),
        scores=tuple(scores),
        bad_vectors=tuple(dict.fromkeys(bad)),
        injected=screen([line.text for line in lines]).suspicious,
    )


def _severity(threats: _Threats) -> tuple[Rank, list[str]]:
    certain = [one for one in threats.secrets if one.certain]
    likely = [one for one in threats.secrets if not one.certain]
    found: list[tuple[Rank, str]] = []
    if certain:
        kinds = ", ".join(dict.fromkeys(one.kind for one in certain))
        found.append(("critical", f"{len(certain)} credential(s) in a known format ({kinds})"))
    if likely:
        found.append(("medium", f"{len(likely)} value(s) named like a secret"))
    if threats.injected:
        found.append(("high", f"{len(threats.injected)} sentence(s) give orders to an automated reader"))
    found.extend((one.rank, f"{one.rule} ({one.source})") for one in _first_of_each(threats.patterns))
    found.extend((score.rating, f"CVSS {score.score} for {score.vector}") for score, _ in threats.scores)
    if threats.of_kind("cve") and not threats.scores:
        found.append(
            ("medium", "named without a vector: " + ", ".join(one.value for one in threats.of_kind("cve")[:5]))
        )
    others = threats.of_kind("ip", "md5", "sha1", "sha256", "host")
    if others and not found:
        found.append(("low", f"{len(others)} addresses, hashes or hosts named, nothing else"))
    if not found:
        return "none", []
    found.sort(key=lambda pair: -RANKS.index(pair[0]))
    return found[0][0], [f"{reason} [{rank}]" for rank, reason in found]


def _first_of_each(patterns: Sequence[PatternFinding]) -> list[PatternFinding]:
    return list({one.rule: one for one in reversed(patterns)}.values())


def _data(threats: _Threats, severity: Rank, reasons: Sequence[str], lines: int) -> JsonObject:
    return {
        "severity": severity,
        "reasons": list(reasons[:MAX_LISTED]),
        "rules": [{"rule": rule, "severity": rank} for rule, rank in SEVERITY_RULES],
        "lines_examined": lines,
        "cves": [one.value for one in threats.of_kind("cve")][:MAX_LISTED],
        "cvss": [
            {"vector": score.vector, "score": score.score, "rating": score.rating, "source": source}
            for score, source in threats.scores[:MAX_LISTED]
        ],
        "secrets": [
            {"kind": one.kind, "source": one.source, "masked": one.masked, "certain": one.certain}
            for one in threats.secrets[:MAX_LISTED]
        ],
        "secrets_count": len(threats.secrets),
        "patterns": [
            {"rule": one.rule, "severity": one.rank, "source": one.source} for one in threats.patterns[:MAX_LISTED]
        ],
        "injected_instructions": len(threats.injected),
        "indicators": {
            "public_addresses": [one.value for one in threats.of_kind("ip") if is_public(one.value)][:MAX_LISTED],
            "private_addresses": [one.value for one in threats.of_kind("ip") if not is_public(one.value)][:MAX_LISTED],
            "hashes": [f"{one.kind}:{one.value}" for one in threats.of_kind("md5", "sha1", "sha256")][:MAX_LISTED],
            "hosts": [one.value for one in threats.of_kind("host")][:MAX_LISTED],
        },
    }


def _evidence(threats: _Threats) -> tuple[Evidence, ...]:
    found = [Evidence(one.source, f"{one.kind}: {one.masked}") for one in threats.secrets]
    found += [Evidence(one.source, one.rule) for one in threats.patterns]
    found += [Evidence(source, f"{score.vector} = {score.score}") for score, source in threats.scores]
    found += [Evidence(one.source, f"{one.kind} {one.value}") for one in threats.indicators]
    return tuple(found[:MAX_LISTED])


def _comment(severity: Rank, reasons: Sequence[str], threats: _Threats) -> str | None:
    if not reasons:
        return None
    advice: list[str] = []
    if threats.secrets:
        places = ", ".join(dict.fromkeys(one.source for one in threats.secrets[:5]))
        advice.append(f"Revoke and rotate the credential(s) at {places}; deleting the text does not undo the exposure.")
    if threats.patterns:
        advice.append(
            f"Look for `{threats.patterns[0].rule}` ({threats.patterns[0].source}) in the affected system's logs."
        )
    public = [one.value for one in threats.of_kind("ip") if is_public(one.value)]
    if public:
        advice.append(f"Search firewall and access logs for {', '.join(public[:5])}.")
    return f"Severity **{severity}**:\n\n{bullets(reasons[:MAX_LISTED])}" + (
        f"\n\nNext:\n\n{bullets(advice)}" if advice else ""
    )
