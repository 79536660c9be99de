"""The contract of a tool: what an agent can do outside, and how that is seen, repeated safely and undone."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel

from bailiwick.authority.model import EffectClass
from bailiwick.effects.model import Observation, Undo, Verdict

Arguments = TypeVar("Arguments", bound=BaseModel)

Recovery = Literal["idempotent", "findable", "none"]


@dataclass(frozen=True, slots=True)
class Call(Generic[Arguments]):
    """One call of a tool. ``key`` names the effect for ever; ``since`` is before its first call."""

    organization_id: str
    arguments: Arguments
    key: str
    since: datetime


class Tool(ABC, Generic[Arguments]):
    """One thing that can be done outside.

    An instance serves all organizations and keeps no state between calls.
    ``recovery`` says what may happen after a crash between call and answer:
    ``idempotent`` tools are called again with the same key, ``findable`` ones
    are looked for by ``find``, of ``none`` nobody can tell and a person decides.
    Reads without a price are read again, whatever it says.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    effect_class: ClassVar[EffectClass]
    arguments: ClassVar[type[BaseModel]]
    recovery: ClassVar[Recovery]
    summary: ClassVar[str]
    timeout_seconds: ClassVar[float] = 60.0

    @abstractmethod
    def target(self, arguments: Arguments) -> str:
        """Return what is changed, as ``kind:id``."""

    def price(self, arguments: Arguments) -> Decimal:
        """Return what one call costs, in the organization's currency."""
        del arguments
        return Decimal(0)

    @abstractmethod
    async def observe(self, call: Call[Arguments]) -> Observation:
        """Return the state of the target as far as a decision about this call depends on it.

        Raises:
            BailiwickError: it cannot be seen; a retryable one is tried again.
        """

    @abstractmethod
    async def apply(self, call: Call[Arguments]) -> Any:
        """Do it and return a JSON-able result.

        Raises:
            BailiwickError: that is not ``retryable``: the outside refused and nothing changed.
            Exception: whether it took effect is unknown.
        """

    async def find(self, call: Call[Arguments]) -> Any | None:
        """Return the result of an earlier call with this key, or None if it certainly did not take effect."""
        raise NotImplementedError(f"{self.name} cannot look for an earlier call")

    @abstractmethod
    async def verify(self, call: Call[Arguments], result: Any) -> Verdict:
        """Look whether the effect stands outside as its result says."""

    def undo(self, call: Call[Arguments], observed: Any, result: Any) -> Undo | None:
        """Return what takes the effect back, or None where nothing does."""
        del call, observed, result
        return None

    def undo_of(self, arguments: Arguments) -> str | None:
        """Say before the call what could be undone and until when; None: nothing."""
        del arguments
        return None
