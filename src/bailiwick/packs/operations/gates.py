"""Quality gates: limits that a measured result must reach. What was not measured is never called passed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Verdict = Literal["passed", "failed", "not measured"]

LIMITS: Mapping[str, float] = MappingProxyType({"coverage": 80.0, "tests": 95.0, "security": 85.0, "performance": 90.0})
"""Percent of lines covered, percent of tests passed, security points and performance points of 100."""

# Where the operations of quality assurance state each measurement.
_MEASURED_BY: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "testing": {name: ("parts", name) for name in LIMITS},
        "coverage": {"coverage": ("percent",)},
        "static-analysis": {"security": ("points",)},
        "performance-testing": {"performance": ("points",)},
    }
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's verdict: the limit, what was measured (None: nothing), and what follows."""

    name: str
    limit: float
    measured: float | None
    verdict: Verdict


def judge(operation: str, data: Mapping[str, Any]) -> tuple[Gate, ...]:
    """Hold a result against every gate."""
    places = _MEASURED_BY.get(operation, {})
    return tuple(_gate(name, limit, _measured(data, places.get(name, ()))) for name, limit in LIMITS.items())


def is_passed(gates: Sequence[Gate]) -> bool | None:
    """Say whether every measured gate passed; None when none was measured."""
    verdicts = [gate.verdict for gate in gates if gate.verdict != "not measured"]
    return None if not verdicts else all(verdict == "passed" for verdict in verdicts)


def said_of(gates: Sequence[Gate]) -> str:
    """Return the failed gates in words: ``coverage 70 below 80``."""
    return ", ".join(
        f"{gate.name} {gate.measured:g} below {gate.limit:g}" for gate in gates if gate.verdict == "failed"
    )


def names(gates: Sequence[Gate], verdict: Verdict) -> tuple[str, ...]:
    """Return the names of the gates with a verdict."""
    return tuple(gate.name for gate in gates if gate.verdict == verdict)


def _gate(name: str, limit: float, measured: float | None) -> Gate:
    if measured is None:
        return Gate(name, limit, None, "not measured")
    return Gate(name, limit, measured, "passed" if measured >= limit else "failed")


def _measured(data: Mapping[str, Any], place: tuple[str, ...]) -> float | None:
    if not place:
        return None
    value: Any = data
    for name in place:
        value = value.get(name) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
