"""What is known by now about something that was proposed: what people said, and what checks found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.outcomes.lasting import RESULT, is_late_enough


@dataclass(frozen=True, slots=True)
class Evidence:
    """What became of a proposal: the effect's state, the approval's, and what a later look found.

    An approval counts as people's word only where people gave it, not their silence.
    ``outcomes`` are states of expectations; "seen" is one that was found kept too early to be proof.
    """

    effect_id: str | None = None
    state: str | None = None
    approval: str | None = None
    is_by_silence: bool = False
    outcomes: tuple[str, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """Tell whether people said no, or took it back."""
        return self.approval == "rejected" or self.state == "reverted"

    @property
    def is_refuted(self) -> bool:
        """Tell whether it turned out not to work."""
        return self.state == "refuted" or "did_not" in self.outcomes

    @property
    def is_verified(self) -> bool:
        """Tell whether a later look found that it worked, and nothing speaks against it; a glance is no proof."""
        return "worked" in self.outcomes and not self.is_refuted and not self.is_rejected

    @property
    def against(self) -> str | None:
        """Say what speaks against doing it, or None."""
        if self.state == "reverted":
            return "it was taken back"
        if self.is_rejected:
            return "people rejected it"
        return "it turned out not to work" if self.is_refuted else None

    def __str__(self) -> str:
        """Say it in a few words."""
        parts = [] if self.approval is None else [f"approval {self.approval}{' by silence' * self.is_by_silence}"]
        parts += [] if self.state is None else [f"effect {self.state}"]
        parts += [f"outcome {state}" for state in self.outcomes]
        return ", ".join(parts) or "nothing was done"


def evidence_of(row: Mapping[str, Any]) -> Evidence:
    """Return the evidence of a row with ``effect_id, effect_state, approval_state, is_by_silence, outcomes``."""
    return Evidence(
        row["effect_id"], row["effect_state"], row["approval_state"], bool(row["is_by_silence"]),
        tuple(row["outcomes"] or ()),
    )  # fmt: skip


def evidence_in(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Evidence]:
    """Return the evidence about every effect of a recorded run, by the effect's id."""
    approvals = {one["id"]: one for one in parts.get("approvals", ())}
    found: dict[str, Evidence] = {}
    for effect in parts.get("effects", ()):
        approval = approvals.get(effect["approval_id"], {})
        found[effect["id"]] = Evidence(
            effect["id"], effect["state"], approval.get("state"), bool(approval.get("is_by_silence")),
            tuple(
                _found(one) for one in parts.get("outcomes", ())
                if one["effect_id"] == effect["id"] and one["state"] != "pending"
            ),
        )  # fmt: skip
    return found


def _found(outcome: Mapping[str, Any]) -> str:
    """Return the state of an outcome as `LASTED` tells it in the database."""
    promised, due = (datetime.fromisoformat(outcome[name]) for name in ("expected_at", "check_at"))
    lasted = is_late_enough(outcome["effect_class"] or RESULT, (due - promised).total_seconds())
    return "seen" if outcome["state"] == "worked" and not lasted else outcome["state"]
