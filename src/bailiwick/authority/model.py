"""What is decided about: a proposal; and the decision with the rule that made it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

EffectClass = Literal["read", "write", "external", "spend", "destructive"]
"""What an effect does at worst: look, change what can be changed back, speak to
outsiders, cost money, take away for good."""

EFFECT_CLASSES: frozenset[str] = frozenset(get_args(EffectClass))

Outcome = Literal["allow", "approve", "deny"]

STRICTNESS: Mapping[Outcome, int] = {"allow": 0, "approve": 1, "deny": 2}

Voice = Literal["unknown", "consent", "rule", "budget", "floor", "free_text", "remembered", "level", "shadow"]
"""Who speaks in a decision; ``docs/explanation/authority.md`` tells of each."""

Silence = Literal["deny", "allow"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One effect as it is judged: everything a rule may ask about, and nothing else.

    ``observed`` is the state of the target that was seen, ``price`` in the
    organization's currency. ``labels`` say where the arguments come from:
    ``untrusted:SOURCE`` for text from outside, ``by:KIND:ID`` for who asked for
    the work. ``free_text`` names the arguments that untrusted text can reach
    unbounded. ``risk`` (0 to 10) and ``score`` (0 to 1) are the sustainability
    digest's; where they are None they are computed from ``factors``, as far as
    those are known (``authority/risk.py``).
    """

    organization_id: str
    task_id: str
    tool: str
    effect_class: EffectClass
    arguments: Mapping[str, Any]
    target: str
    at: datetime
    agent_id: str | None = None
    agent_kind: str | None = None
    agent_name: str | None = None
    observed: Any = None
    price: Decimal = Decimal(0)
    is_reversible: bool = False
    labels: frozenset[str] = frozenset()
    free_text: tuple[str, ...] = ()
    reason: str = ""
    confidence: float | None = None
    factors: Mapping[str, Any] = field(default_factory=dict[str, Any])
    risk: float | None = None
    score: float | None = None
    subject: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A yes that a person gave for good: the rule's name, and the roles that were asked for when it was given."""

    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Who must say yes, how many, by when, and what follows from silence."""

    roles: tuple[str, ...] = ("admin",)
    quorum: int = 1
    expires_hours: float = 24.0
    on_expiry: Silence = "deny"
    escalate_to: str | None = "owner"
    escalate_hours: float | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one voice said: ``rule`` is the rule's name, or that of the voice where no rule speaks."""

    voice: Voice
    rule: str
    outcome: Outcome
    reason: str

    def __str__(self) -> str:
        """Say it on one line."""
        return f"{self.rule}: {self.outcome}, {self.reason}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the budgets say of a proposal's price: enough, a person must say yes, or no; and by which rung."""

    state: Literal["ok", "ask", "deny"]
    rung: str = ""
    reason: str = "the budget is used up"


@dataclass(frozen=True, slots=True)
class Decision:
    """What may happen, and why: ``rule`` names the rule that decided, ``voice`` whose it is.

    ``level`` is the agent's autonomy (1 to 5) at that moment; ``is_shadow``
    marks a refusal that only records what the agent would have done. ``notice``
    tells people about what was allowed. ``considered`` is everything that was
    said, the deciding opinion included; ``undetermined`` the rules that would
    have allowed if what they ask were known. ``policy_version`` and
    ``ceiling_version`` are 0 where there is no policy.
    """

    id: str
    outcome: Outcome
    rule: str
    reason: str
    policy_version: int
    level: int
    terms: ApprovalTerms | None = None
    notice: bool = False
    is_shadow: bool = False
    considered: tuple[Opinion, ...] = ()
    voice: Voice = "level"
    ceiling_version: int = 0
    undetermined: tuple[str, ...] = ()

    @property
    def policy_mark(self) -> str:
        """Return both versions as one word: what an approval is bound to, for either may move."""
        return f"{self.policy_version}/{self.ceiling_version}"
