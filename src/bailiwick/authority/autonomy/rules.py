"""When an agent goes further and when it is held back: what an organization asks for, and pure decisions by it."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.authority.autonomy.model import ACT, NOTICE, OBSERVE, PROPOSE, Counts
from bailiwick.authority.autonomy.posterior import Posterior
from bailiwick.authority.model import EffectClass

_FARTHEST_LOOK = 100_000


class Bar(BaseModel):
    """What it takes to hold a level: a lower bound of the chance to do right, and how much it must rest on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bound: float = Field(gt=0, lt=1, description="The chance to do right must exceed this.")
    minimum_trials: int = Field(ge=1, le=_FARTHEST_LOOK, description="Acts there must be evidence of.")
    minimum_verified: int = Field(
        default=0, ge=0, le=_FARTHEST_LOOK, description="Of those, acts that a later look verified or refuted."
    )


class AutonomyRules(BaseModel):
    """What an organization asks for before an agent goes further, and what holds it back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of the bounds, one-sided.", examples=[0.95])
    propose: Bar = Bar(bound=0.5, minimum_trials=10)
    notice: Bar = Bar(bound=0.8, minimum_trials=20)
    act: Bar = Bar(bound=0.9, minimum_trials=50, minimum_verified=10)
    is_automatic: bool = Field(
        default=False, description="Promote without asking a person; never to destructive or irreversible acts."
    )
    refuted_limit: int = Field(default=2, ge=1, le=1000, description="So many refuted outcomes demote ...")
    refuted_days: float = Field(default=30, gt=0, le=3660, description="... within so many days.")
    shadow_hours: float = Field(
        default=72, gt=0, le=24 * 90, description="How long people have to do what an agent that watches would have."
    )

    def bar(self, level: int) -> Bar | None:
        """Return what it takes to hold a level; None for observing, which takes nothing."""
        return {PROPOSE: self.propose, NOTICE: self.notice}.get(level, self.act) if level > OBSERVE else None


@dataclass(frozen=True, slots=True)
class Regression:
    """A trial that failed: how things stood before and after it.

    ``refuted`` counts the refuted outcomes within the organization's window,
    this one included; it is 0 if this failure is a person's answer.
    """

    before: Counts
    after: Counts
    refuted: int = 0


def next_level(level: int, counts: Counts, rules: AutonomyRules) -> int | None:
    """Return the level that the evidence has earned above ``level``, or None; one at a time, never above 4."""
    if not OBSERVE <= level < ACT:
        return None
    return level + 1 if _reaches(counts, rules.bar(level + 1), rules.confidence) else None


def demoted_level(
    level: int, effect_class: EffectClass, regression: Regression, rules: AutonomyRules
) -> tuple[int, str | None]:
    """Return the level after a failure, with the reason where it is a lower one.

    Destructive harm leads to observing at once. Else it is one level less when
    refuted outcomes pile up, when the failure pushes the lower bound of what was
    earned under the bar, or when even the upper bound lies under it.
    """
    if level <= OBSERVE:
        return level, None
    if effect_class == "destructive" and regression.refuted:
        return OBSERVE, "a destructive act did harm: its outcome was refuted"
    reason = _regression_reason(level, regression, rules)
    return (level, None) if reason is None else (level - 1, reason)


def missing_for(level: int, counts: Counts, rules: AutonomyRules) -> str | None:
    """Say what is missing before ``next_level`` is earned; None where nothing is, or no level is left to earn."""
    if not OBSERVE <= level < ACT or next_level(level, counts, rules) is not None:
        return None
    bar = rules.bar(level + 1)
    assert bar is not None
    says: list[str] = []
    if counts.trials < bar.minimum_trials:
        says.append(f"{bar.minimum_trials - counts.trials} more acts with evidence")
    if counts.verified < bar.minimum_verified:
        says.append(f"{bar.minimum_verified - counts.verified} more verified outcomes")
    lower = Posterior(counts.successes, counts.failures).lower(rules.confidence)
    if lower < bar.bound:
        needed = _successes_needed(counts, bar, rules.confidence)
        more = (
            f"{needed} successes in a row would do" if needed is not None else "no number of successes is enough soon"
        )
        says.append(f"a lower bound of {bar.bound:.2f} (it is {lower:.3f}; {more})")
    return "; ".join(says)


def _reaches(counts: Counts, bar: Bar | None, confidence: float) -> bool:
    if bar is None:
        return True
    if counts.trials < bar.minimum_trials or counts.verified < bar.minimum_verified:
        return False
    return Posterior(counts.successes, counts.failures).lower(confidence) >= bar.bound


def _regression_reason(level: int, regression: Regression, rules: AutonomyRules) -> str | None:
    if regression.refuted >= rules.refuted_limit:
        return f"{regression.refuted} outcomes were refuted within {rules.refuted_days:g} days"
    bar = rules.bar(level)
    if bar is None:
        return None
    before = Posterior(regression.before.successes, regression.before.failures).lower(rules.confidence)
    after = Posterior(regression.after.successes, regression.after.failures)
    lower, upper = after.lower(rules.confidence), after.upper(rules.confidence)
    if regression.before.trials >= bar.minimum_trials and before >= bar.bound > lower:
        return f"the lower bound fell to {lower:.3f}, under {bar.bound:.2f}"
    if upper < bar.bound:
        return f"even the upper bound, {upper:.3f}, is under {bar.bound:.2f}"
    return None


def _successes_needed(counts: Counts, bar: Bar, confidence: float) -> int | None:
    """Return the fewest further successes that lift the lower bound to the bar, by bisection: it rises with each."""
    low, high = 0, _FARTHEST_LOOK
    if Posterior(counts.successes + high, counts.failures).lower(confidence) < bar.bound:
        return None
    while low < high:
        middle = (low + high) // 2
        if Posterior(counts.successes + middle, counts.failures).lower(confidence) >= bar.bound:
            high = middle
        else:
            low = middle + 1
    return low
