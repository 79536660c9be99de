"""What a decision was made from, as it is kept: the proposal in full, and what stood around it.

With both, the same decision can be made again later, by another policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from bailiwick.authority.model import Budget, Proposal, Remembered
from bailiwick.kernel.documents import JsonObject


@dataclass(frozen=True, slots=True)
class Given:
    """What is known around a proposal beside the rules; the arguments of ``decide`` say what each means."""

    level: int | None
    consent: bool | None = None
    budget: Budget | None = None
    remembered: Remembered | None = None
    stranger: str | None = None
    organization: tuple[str, ...] = ()


_OF_PROPOSAL = tuple(field.name for field in fields(Proposal))
_OF_GIVEN = tuple(field.name for field in fields(Given))


def proposal_document(proposal: Proposal) -> JsonObject:
    """Return a proposal as it is encoded; from that `proposal_of` makes it again."""
    return {
        **{name: getattr(proposal, name) for name in _OF_PROPOSAL},
        "price": str(proposal.price),
        "labels": sorted(proposal.labels),
        "free_text": list(proposal.free_text),
        "at": proposal.at.isoformat(),
    }


def proposal_of(document: Mapping[str, Any]) -> Proposal:
    """Return the proposal of a document; raise KeyError, TypeError or ValueError where it is none."""
    fields: dict[str, Any] = {
        **document,
        "price": Decimal(document["price"]),
        "labels": frozenset(document["labels"]),
        "free_text": tuple(document["free_text"]),
        "at": datetime.fromisoformat(document["at"]),
    }
    return Proposal(**fields)


def given_document(given: Given) -> JsonObject:
    """Return what stood around a proposal as it is encoded; from that `given_of` makes it again."""
    return {name: getattr(given, name) for name in _OF_GIVEN}


def given_of(document: Mapping[str, Any]) -> Given:
    """Return what stood around a proposal; raise KeyError, TypeError or ValueError where a document is none."""
    budget, remembered = document["budget"], document["remembered"]
    fields: dict[str, Any] = {
        **document,
        "budget": None if budget is None else Budget(**budget),
        "remembered": None if remembered is None else Remembered(remembered["name"], tuple(remembered["roles"])),
        "organization": tuple(document["organization"]),
    }
    return Given(**fields)
