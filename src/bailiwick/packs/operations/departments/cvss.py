"""CVSS base scores by the published formula (FIRST, CVSS v3.1 specification, section 7.1 and appendix A)."""

import re
from dataclasses import dataclass

from bailiwick.kernel.errors import InvalidInputError

VECTOR = re.compile(r"\bCVSS:(\d\.\d)((?:/[A-Z]{1,3}:[A-Z]){1,40})")
"""A vector string of any version, wherever it stands in a text."""

_WEIGHTS: dict[str, dict[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_BASE_METRICS = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
_VERSIONS = ("3.0", "3.1")


@dataclass(frozen=True, slots=True)
class BaseScore:
    """The base score 0.0..10.0 of a vector and its qualitative rating."""

    vector: str
    score: float
    rating: str


def base_score(vector: str) -> BaseScore:
    """Compute the base score of a CVSS 3.0 or 3.1 vector; temporal and environmental metrics are ignored.

    Raises:
        InvalidInputError: another version, a base metric missing, repeated or with an unknown value.
    """
    metrics = _metrics(vector)
    changed = metrics["S"] == "C"
    untouched = (
        (1 - _WEIGHTS["C"][metrics["C"]]) * (1 - _WEIGHTS["I"][metrics["I"]]) * (1 - _WEIGHTS["A"][metrics["A"]])
    )
    sub_score = 1 - untouched
    impact = _impact(sub_score, changed=changed)
    exploitability = (
        8.22
        * _WEIGHTS["AV"][metrics["AV"]]
        * _WEIGHTS["AC"][metrics["AC"]]
        * _PRIVILEGES[metrics["S"]][metrics["PR"]]
        * _WEIGHTS["UI"][metrics["UI"]]
    )
    if impact <= 0:
        return BaseScore(vector, 0.0, "none")
    score = _round_up(min((1.08 if changed else 1.0) * (impact + exploitability), 10.0))
    return BaseScore(vector, score, rating(score))


def _impact(sub_score: float, *, changed: bool) -> float:
    if not changed:
        return 6.42 * sub_score
    return 7.52 * (sub_score - 0.029) - 3.25 * (sub_score - 0.02) ** 15


def rating(score: float) -> str:
    """Return the qualitative rating of a score (specification, table 14)."""
    if score <= 0:
        return "none"
    for limit, name in ((4.0, "low"), (7.0, "medium"), (9.0, "high")):
        if score < limit:
            return name
    return "critical"


def _metrics(vector: str) -> dict[str, str]:
    found = VECTOR.fullmatch(vector)
    if found is None or found.group(1) not in _VERSIONS:
        raise InvalidInputError(f"not a CVSS 3.0 or 3.1 vector: {vector[:100]}")
    metrics: dict[str, str] = {}
    for part in found.group(2)[1:].split("/"):
        name, _, value = part.partition(":")
        if name in metrics:
            raise InvalidInputError(f"CVSS metric {name} is given twice")
        metrics[name] = value
    for name in _BASE_METRICS:
        if name not in metrics:
            raise InvalidInputError(f"CVSS base metric {name} is missing")
        if metrics[name] not in _values(name):
            raise InvalidInputError(f"CVSS metric {name} has no value {metrics[name]}")
    return metrics


def _values(name: str) -> frozenset[str]:
    if name == "S":
        return frozenset(_PRIVILEGES)
    return frozenset(_PRIVILEGES["U"]) if name == "PR" else frozenset(_WEIGHTS[name])


def _round_up(value: float) -> float:
    # Appendix A: in whole hundred-thousandths, so that 4.02 does not become 4.1 by a floating point tail.
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
