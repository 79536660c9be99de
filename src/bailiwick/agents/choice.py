"""Choice of agent: the least marginal energy among those who may.

The energy of giving a task to agent ``a`` is

    w_q (1 - q) + w_c c / c0 + w_l κ (φ((l + 1) / κ) - φ(l / κ)) - b σ

with q the shrunken estimate of how often it completes this kind of task (and,
where it promised something, keeps it, by a later look), c its price,
c0 the reference price, l the tasks it has in hand, κ its capacity, φ(u) =
u² / (1 + u), and σ the standard error of q, which is what makes an agent that
was seldom tried worth trying. The slope of φ is at most 1, so every term but the
bonus lies in [0, 1]; weights are not negative and sum to 1, so the energy is
bounded. It is the change of one potential, Σ over tasks of quality and price
plus Σ over agents of w_l κ φ(l / κ): each choice that lowers it is progress, and
rounds of best choices end. The capacity κ before φ makes a task weigh the same
on a small agent and on a large one that are equally busy.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

# How many observations the pooled success rate of all candidates counts for.
PRIOR_STRENGTH = 8.0


@dataclass(frozen=True, slots=True)
class Weights:
    """What matters how much; the three weights sum to 1."""

    quality: float = 0.5
    price: float = 0.2
    load: float = 0.3
    exploration: float = 0.5

    def __post_init__(self) -> None:
        """Refuse weights under which the energy is unbounded or means nothing."""
        parts = (self.quality, self.price, self.load)
        if min(*parts, self.exploration) < 0 or abs(sum(parts) - 1) > 1e-9:
            raise ValueError("weights must not be negative, and quality + price + load must be 1")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent as the choice sees it. ``barred`` names the hard constraint that excludes it."""

    agent_id: str
    name: str
    successes: int
    failures: int
    price: float
    load: int
    capacity: int
    barred: str | None = None


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the choice computed for one candidate."""

    agent_id: str
    name: str
    quality: float
    uncertainty: float
    trials: int
    quality_term: float
    price_term: float
    load_term: float
    exploration_term: float
    energy: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Who was chosen, why, and what was computed for everybody."""

    agent_id: str | None
    reason: str
    weighed: tuple[Weighing, ...]
    barred: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the choice as it is stored with the task and shown."""
        return {
            "agent_id": self.agent_id,
            "reason": self.reason,
            "candidates": [asdict(weighing) for weighing in self.weighed],
            "barred": [{"name": name, "because": because} for name, because in self.barred],
        }


def load_energy(utilisation: float) -> float:
    """Return φ(u) = u² / (1 + u): convex, with a slope of at most 1."""
    return utilisation * utilisation / (1 + utilisation)


def choose(candidates: Sequence[Candidate], weights: Weights | None = None, *, price_reference: float = 0.0) -> Choice:
    """Return the candidate of least marginal energy; ties go to the smaller load, then the older agent.

    ``price_reference`` is c0; 0 takes the highest price among the candidates.
    """
    weights = weights or Weights()
    open_to = [candidate for candidate in candidates if candidate.barred is None]
    barred = tuple((candidate.name, candidate.barred) for candidate in candidates if candidate.barred is not None)
    if not open_to:
        detail = "; ".join(f"{name}: {because}" for name, because in barred) or "no agent has this capability"
        return Choice(None, f"nobody may do it ({detail})", (), barred)
    pooled = pooled_rate([(candidate.successes, candidate.failures) for candidate in open_to])
    reference = price_reference or max(candidate.price for candidate in open_to)
    weighed = [_weigh(candidate, weights, pooled, reference) for candidate in open_to]
    ranked = sorted(
        zip(weighed, open_to, strict=True), key=lambda pair: (round(pair[0].energy, 12), pair[1].load, pair[1].agent_id)
    )
    ordered = tuple(weighing for weighing, _ in ranked)
    return Choice(ordered[0].agent_id, _reason(ordered), ordered, barred)


def pooled_rate(outcomes: Sequence[tuple[int, int]]) -> float:
    """Return the success rate of all together, from (successes, failures) of each.

    It starts from one success and one failure, so that it is never 0 or 1.
    """
    wins = 1 + sum(successes for successes, _ in outcomes)
    return wins / (2 + sum(successes + failures for successes, failures in outcomes))


def shrunken_rate(successes: int, failures: int, pooled: float) -> tuple[float, float]:
    """Return the estimated success rate and its standard error.

    Mean and deviation of the beta distribution that starts as if
    ``PRIOR_STRENGTH`` outcomes at the pooled rate had been seen.
    """
    mass = successes + failures + PRIOR_STRENGTH
    rate = (successes + PRIOR_STRENGTH * pooled) / mass
    return rate, sqrt(rate * (1 - rate) / (mass + 1))


def _weigh(candidate: Candidate, weights: Weights, pooled: float, reference: float) -> Weighing:
    trials = candidate.successes + candidate.failures
    quality, uncertainty = shrunken_rate(candidate.successes, candidate.failures, pooled)
    quality_term = weights.quality * (1 - quality)
    price_term = weights.price * min(candidate.price / reference, 1.0) if reference > 0 else 0.0
    capacity = candidate.capacity
    added = load_energy((candidate.load + 1) / capacity) - load_energy(candidate.load / capacity)
    load_term = weights.load * capacity * added
    exploration_term = -weights.exploration * uncertainty
    energy = quality_term + price_term + load_term + exploration_term
    return Weighing(
        candidate.agent_id, candidate.name, quality, uncertainty, trials,
        quality_term, price_term, load_term, exploration_term, energy,
    )  # fmt: skip


def _reason(ordered: Sequence[Weighing]) -> str:
    best = ordered[0]
    facts = f"{best.name}: completes {best.quality:.0%} ± {best.uncertainty:.0%}, by {best.trials} tasks"
    if best.trials == 0:
        facts = f"{best.name}: no record at this work yet"
    if len(ordered) == 1:
        return f"{facts}; the only one who may"
    second = ordered[1]
    gaps = {
        "better quality": second.quality_term - best.quality_term,
        "lower price": second.price_term - best.price_term,
        "less load": second.load_term - best.load_term,
        "less explored": second.exploration_term - best.exploration_term,
    }
    name, gap = max(gaps.items(), key=lambda item: item[1])
    if gap <= 1e-12:
        return f"{facts}; equal to {second.name}, taken by order"
    return f"{facts}; before {second.name} by {name} (energy {best.energy:.3f} against {second.energy:.3f})"
