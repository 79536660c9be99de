"""What a run asks to have done outside its journal, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel

from bailiwick.kernel.errors import ForbiddenError

if TYPE_CHECKING:
    from bailiwick.tasks.run import Run

EffectState = Literal[
    "proposed", "waiting", "declined", "executing", "applied", "failed", "unknown",
    "verified", "refuted", "unverifiable", "reverted",
]  # fmt: skip
"""The life of an effect; ``docs/explanation/effects.md`` draws it."""

DONE_STATES: frozenset[EffectState] = frozenset({"applied", "verified", "refuted", "unverifiable"})
"""States in which the effect stands outside."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should be true later if it worked: a registered check, what it needs to know, and when to look.

    ``claim`` says it in words that a person can agree or disagree with.
    """

    check: str
    claim: str
    after_seconds: float
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Effect:
    """One change outside the journal, as a handler proposes it.

    ``tool`` is the name of a registered tool, ``arguments`` fit its schema,
    ``reason`` tells an approver why. ``confidence`` (0 to 1) and ``factors``
    are inputs of policy rules where the handler knows them; ``subject`` is the
    person whose data the change processes for ``purpose``, as a ``Concern`` names one.
    ``reverts`` is the id of an effect that this one takes back.
    """

    tool: str
    arguments: BaseModel | Mapping[str, Any]
    reason: str
    expectation: Expectation | None = None
    confidence: float | None = None
    factors: Mapping[str, Any] | None = None
    subject: str | None = None
    purpose: str | None = None
    reverts: str | None = None


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of an effect; ``result`` is the tool's answer where it stands outside."""

    effect_id: str
    state: EffectState
    reason: str
    result: Any = None

    @property
    def is_done(self) -> bool:
        """Tell whether the change stands outside."""
        return self.state in DONE_STATES


class Acting(Protocol):
    """Who carries out effects for runs, as far as there is authority."""

    async def act(self, run: "Run", effect: Effect) -> Acted:
        """Propose, have decided, carry out and record one effect; durable at every boundary."""
        ...


class NoActing:
    """For engines without an authority: nothing is done outside."""

    async def act(self, run: "Run", effect: Effect) -> Acted:
        """Refuse everything.

        Raises:
            ForbiddenError: always.
        """
        del run
        raise ForbiddenError(f"nobody here decides about effects, so {effect.tool!r} is not carried out")


class Expecting(Protocol):
    """Who keeps what runs expect of their own results, and looks later."""

    async def expect(self, run: "Run", expectation: Expectation) -> str:
        """State once what should be true later; return the id of the outcome."""
        ...


class NoExpecting:
    """For engines in which nobody looks later: nothing is expected of them."""

    async def expect(self, run: "Run", expectation: Expectation) -> str:
        """Refuse everything.

        Raises:
            ForbiddenError: always.
        """
        del run
        raise ForbiddenError(f"nobody here looks later, so {expectation.check!r} cannot be expected")
