"""Terms of approvals: the strictest of several, whatever their order."""

from collections.abc import Sequence
from dataclasses import replace

from bailiwick.authority.model import ApprovalTerms
from bailiwick.identity.people.permissions import ROLES

_RANK = {role: rank for rank, role in enumerate(ROLES)}


def strictness(terms: ApprovalTerms) -> tuple[int, int, int, float]:
    """Return what terms are compared by: silence first, then how many, how senior, how soon."""
    return (terms.on_expiry == "deny", terms.quorum, _seniority(terms.roles), -terms.expires_hours)


def strictest(several: Sequence[ApprovalTerms]) -> ApprovalTerms:
    """Return terms that are at least as strict as each of several.

    As many people as the most demanding asks for; roles that all of them
    accept, or the most senior ones where no role is accepted by all; silence
    means no if it does for one of them. Time: the shortest where silence means
    no, the longest where it means yes.
    """
    # In full, so that terms which differ in anything never depend on their order.
    hardest = max(several, key=lambda terms: (strictness(terms), str(terms.escalate_to), terms.escalate_hours or 0.0))
    on_expiry = "deny" if any(terms.on_expiry == "deny" for terms in several) else "allow"
    hours = [terms.expires_hours for terms in several]
    return replace(
        hardest,
        roles=_roles(several),
        quorum=max(terms.quorum for terms in several),
        on_expiry=on_expiry,
        expires_hours=min(hours) if on_expiry == "deny" else max(hours),
    )


def is_heard(roles: Sequence[str], terms: ApprovalTerms) -> bool:
    """Tell whether whoever was senior enough for some roles is so for these terms, too."""
    return bool(roles) and _seniority(tuple(roles)) >= _seniority(terms.roles)


def _roles(several: Sequence[ApprovalTerms]) -> tuple[str, ...]:
    shared = set(several[0].roles).intersection(*(terms.roles for terms in several))
    if shared:
        return tuple(sorted(shared, key=_RANK.__getitem__))
    return max(
        (tuple(sorted(terms.roles, key=_RANK.__getitem__)) for terms in several),
        key=lambda roles: (_seniority(roles), roles),
    )


def _seniority(roles: tuple[str, ...]) -> int:
    return min(_RANK[role] for role in roles)
