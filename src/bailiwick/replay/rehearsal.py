"""What a rehearsal found: changes side by side, the riskiest first, and whether a bound on regressions holds."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bailiwick.kernel.errors import ConflictError, InvalidInputError

Movement = Literal["loosened", "tightened", "again", "dropped", "added", "result"]
"""Which way a change goes: less or more is asked before something is done; an agent
proposes something again, no more or anew; or only its result is another one."""

_RANKS: Mapping[str, int] = {"destructive": 4, "spend": 3, "external": 2, "write": 1, "read": 0}
_LOOSE = frozenset({"loosened", "added", "again"})
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)\s?%")


class RehearsalRefusedError(ConflictError):
    """What was rehearsed does worse than its bound allows, or could not be compared."""

    code = "rehearsal.refused"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a change: what comes of it, by which rule, and why."""

    outcome: str
    rule: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would go another way.

    ``evidence`` is what people and checks said of it by now; ``regression`` says
    why the change is for the worse, None where nothing says that it is.
    """

    run_id: str
    effect_id: str | None
    tool: str
    effect_class: str
    target: str
    movement: Movement
    old: Side
    new: Side
    evidence: str = ""
    regression: str | None = None
    risk: float | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a run could not be followed: what it would have done was never recorded."""

    run_id: str
    about: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bound:
    """How many are allowed: a number, or a share of what was compared."""

    amount: float = 0.0
    is_share: bool = False

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """Read ``3`` or ``5%``.

        Raises:
            InvalidInputError: it is neither.
        """
        share = _SHARE.fullmatch(text.strip())
        if share is not None and float(share[1]) <= 100:
            return cls(float(share[1]) / 100, is_share=True)
        if re.fullmatch(r"\d{1,6}", text.strip()):
            return cls(float(text))
        raise InvalidInputError(f"{text[:50]!r} is no bound; give a number such as 3, or a share such as 5%")

    def allows(self, count: int, of: int) -> bool:
        """Tell whether so many of so many are within it."""
        return count <= (self.amount * of if self.is_share else self.amount)

    def __str__(self) -> str:
        """Say it as it is written."""
        return f"{self.amount * 100:g}%" if self.is_share else f"{self.amount:g}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many regressions and how many divergences are allowed; by default none."""

    regressions: Bound = Bound()
    diverged: Bound = Bound()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a candidate would have done in recorded runs.

    ``compared`` counts what could be held against the recording (decisions of a
    policy, runs of an agent), ``same`` what is no different. What ``diverged``
    is in neither: nobody knows. ``baseline`` counts the regressions that what
    really ran has by the same rule, where that has a meaning.
    """

    subject: Literal["policy", "agent", "level"]
    candidate: str
    runs: int
    compared: int
    same: int
    changes: tuple[Change, ...] = ()
    diverged: tuple[Divergence, ...] = ()
    by_class: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    baseline: int | None = None

    @property
    def regressions(self) -> tuple[Change, ...]:
        """The changes for the worse."""
        return tuple(change for change in self.changes if change.regression is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may be promoted, as far as a rehearsal can tell; ``reasons`` say what is against it."""

    is_passed: bool
    reasons: tuple[str, ...] = ()


def judge(rehearsal: Rehearsal, bounds: Bounds) -> Verdict:
    """Hold a rehearsal against its bounds. Where nothing could be compared, nothing is shown, so it is refused."""
    reasons: list[str] = []
    worse, lost = len(rehearsal.regressions), len(rehearsal.diverged)
    if rehearsal.compared == 0:
        reasons.append("nothing could be compared: no recorded run matches, or all diverged")
    if not bounds.regressions.allows(worse, rehearsal.compared):
        allowed = f"at most {bounds.regressions} are allowed"
        reasons.append(f"{worse} regressions where {rehearsal.compared} were compared, and {allowed}")
    if not bounds.diverged.allows(lost, rehearsal.compared + lost):
        reasons.append(f"{lost} diverged, so nobody knows what they would do, and at most {bounds.diverged} may")
    return Verdict(not reasons, tuple(reasons))


def require(rehearsal: Rehearsal, bounds: Bounds) -> None:
    """Let only what passes its rehearsal go on.

    Raises:
        RehearsalRefusedError: it does not; the message says why, and names the worst.
    """
    verdict = judge(rehearsal, bounds)
    if verdict.is_passed:
        return
    worst = next(iter(rehearsal.regressions), None)
    named = "" if worst is None else f"; the worst: {worst.tool} on {worst.target}: {worst.regression}"
    raise RehearsalRefusedError(f"refused by its rehearsal: {'; '.join(verdict.reasons)}{named}")


def riskiest_first(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes in order of risk: regressions, then what is loosened, by class of effect and risk score."""

    def key(change: Change) -> tuple[bool, bool, int, float, str]:
        rank = _RANKS.get(change.effect_class, len(_RANKS))
        return (
            change.regression is None, change.movement not in _LOOSE, -rank, -(change.risk or 0.0),
            f"{change.run_id} {change.effect_id}",
        )  # fmt: skip

    return tuple(sorted(changes, key=key))


def counted(seen: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return how often each class of effect met with what, from pairs of both."""
    counts: dict[str, Counter[str]] = {}
    for effect_class, what in seen:
        counts.setdefault(effect_class, Counter())[what] += 1
    return {name: dict(counts[name]) for name in sorted(counts)}
