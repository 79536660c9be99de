"""Whether each effect of a run is the one that was decided about: by the digests that an archive keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from bailiwick.effects.digest import digest_of

Computed = Literal["fits", "hidden", "broken"]


@dataclass(frozen=True, slots=True)
class Binding:
    """What one effect's digest says.

    ``computed``: the digest is that of what is in the archive; ``hidden``: it
    is of what was hidden in it, so that nobody can compute it here; ``broken``:
    nothing was hidden, and it is of something else. ``approval`` tells whether
    people said yes to this very digest; None where nobody was asked.
    """

    effect_id: str
    digest: str
    computed: Computed
    approval: bool | None

    @property
    def is_broken(self) -> bool:
        """Tell whether something else was carried out than was decided about."""
        return self.computed == "broken" or self.approval is False


def bindings_of(parts: Mapping[str, Sequence[Mapping[str, Any]]], *, has_hidden: bool) -> list[Binding]:
    """Return the binding of every effect; ``has_hidden`` tells whether anything in the archive was hidden."""
    approvals = {one["id"]: one["digest"] for one in parts.get("approvals", ())}
    found: list[Binding] = []
    for effect in parts.get("effects", ()):
        computed: Computed = "fits" if _digest(effect) == effect["digest"] else "hidden" if has_hidden else "broken"
        asked = effect["approval_id"]
        said = None if asked is None else approvals.get(asked) == effect["digest"]
        found.append(Binding(effect["id"], effect["digest"], computed, said))
    return found


def _digest(effect: Mapping[str, Any]) -> str:
    return digest_of(
        effect["tool"], effect["tool_version"], effect["arguments"], target=effect["target"],
        observed=effect["observed"], policy_version=effect["policy"], price=Decimal(str(effect["price"])),
    )  # fmt: skip
