"""What a policy is: rules with names, what they ask, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bailiwick.authority.model import ApprovalTerms, Outcome

Comparison = Literal["at_least", "at_most", "above", "below", "is"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: if every condition under ``when`` holds, its outcome is spoken.

    ``when`` maps the name of a condition to what it asks, as it was checked
    when the policy was read. ``irreversible`` lets an allow rule that names
    tools in full stand for what cannot be undone. ``line`` is where it begins.
    """

    name: str
    outcome: Outcome
    when: Mapping[str, Any] = field(default_factory=dict[str, Any])
    because: str = ""
    terms: ApprovalTerms | None = None
    irreversible: bool = False
    notice: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A proposal with what is known around it, and what must come of it; ``expect`` holds only what is promised."""

    name: str
    proposal: Mapping[str, Any]
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """An organization's rules in one version, and its own tests; version 0 is no policy at all."""

    rules: tuple[Rule, ...] = ()
    approval: ApprovalTerms = field(default_factory=ApprovalTerms)
    cases: tuple[Case, ...] = ()
    description: str = ""
    version: int = 0
