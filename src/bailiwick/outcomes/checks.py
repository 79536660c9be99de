"""Checks: the ways to look later whether something worked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from bailiwick.kernel.documents import validated
from bailiwick.kernel.errors import ConflictError, UnknownKindError

Arguments = TypeVar("Arguments", bound=BaseModel)

Verdict = Literal["worked", "did_not", "unknown"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that was read: from where, when, and what it was. ``seen`` is plain data."""

    source: str
    at: datetime
    seen: Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look found. ``missing`` says of an unknown one what it would take to tell."""

    verdict: Verdict
    evidence: tuple[Reading, ...] = ()
    missing: str | None = None

    def __post_init__(self) -> None:
        """Hold everybody who says "unknown" to saying why."""
        if (self.verdict == "unknown") != bool(self.missing):
            raise ValueError("a finding is unknown exactly if something is missing; say what")


@dataclass(frozen=True, slots=True)
class Expected:
    """What was expected: the claim in words, of which effect or result, stated when, to be looked at when."""

    outcome_id: str
    claim: str
    task_id: str
    effect_id: str | None
    agent_id: str | None
    expected_at: datetime
    check_at: datetime


@dataclass(frozen=True, slots=True)
class Check(Generic[Arguments]):
    """One way to look whether a promise was kept.

    ``look(organization_id, arguments, expected)`` reads and changes nothing. It
    raises a retryable error where asking again may help, CannotDetermineError
    where something is missing; both end as unknown, the first after some tries.
    """

    name: str
    arguments: type[Arguments]
    look: Callable[[str, Arguments, Expected], Awaitable[Finding]] = field(repr=False)
    summary: str = ""


class CheckRegistry:
    """Checks by name. Filled at start, read afterwards."""

    def __init__(self) -> None:
        self._checks: dict[str, Check[Any]] = {}

    def register(self, check: Check[Any]) -> None:
        """Add a check.

        Raises:
            ConflictError: another has its name.
        """
        if check.name in self._checks:
            raise ConflictError(f"two checks are called {check.name!r}")
        self._checks[check.name] = check

    def get(self, name: str) -> Check[Any]:
        """Return a check.

        Raises:
            UnknownKindError: there is none of that name.
        """
        check = self._checks.get(name)
        if check is None:
            raise UnknownKindError(f"no check {name!r}; there are: {', '.join(sorted(self._checks)) or 'none'}")
        return check

    def all(self) -> list[Check[Any]]:
        """Return every check, by name."""
        return [self._checks[name] for name in sorted(self._checks)]

    def arguments(self, check: Check[Any], given: Any) -> Any:
        """Return arguments in the check's own schema.

        Raises:
            InvalidPayloadError: they do not fit.
        """
        return validated(check.arguments, given, f"the arguments do not fit {check.name}", whole="arguments")
