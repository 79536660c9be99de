"""What tools say about the world: what they saw, whether it worked, how it is undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

UNSEEN = "the target cannot be seen"
"""How the reason begins where a tool could not look; what follows it are words from outside."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of a target that an approval is bound to: plain data, equal if nothing that matters has moved."""

    state: Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an effect stands outside as its result says, with what was seen."""

    outcome: Literal["verified", "refuted", "unverifiable"]
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Undo:
    """The inverse of an applied effect: another tool's arguments, until when it works, and its limits."""

    tool: str
    arguments: BaseModel
    within: timedelta | None = None
    limits: str = ""
