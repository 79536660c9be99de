"""What a new key or service account may do at most: never what its maker may not."""

from collections.abc import Collection
from dataclasses import dataclass

from bailiwick.identity.model import Caller
from bailiwick.identity.people.permissions import GRANTS, PERMISSIONS, ROLES, Role
from bailiwick.kernel.errors import ForbiddenError, InvalidInputError


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """The role of a key, None for one to the whole installation, and the scopes within it, None for all."""

    role: Role | None
    scopes: list[str] | None


def installation_bounds(maker: Caller, role: Role | None, scopes: Collection[str] | None) -> KeyBounds:
    """Return the bounds of a key to the whole installation.

    Raises:
        InvalidInputError: a scope is no permission, or a role was named.
        ForbiddenError: the maker does not administer the installation without bounds.
    """
    if not maker.is_unbounded_admin:
        raise ForbiddenError("a key to the whole installation is made by its administrators only")
    if role is not None:
        raise InvalidInputError("roles are of organizations; bound a key to the whole installation by scopes")
    return KeyBounds(None, None if scopes is None else _checked(frozenset(scopes)))


def organization_bounds(
    maker: Caller,
    organization_id: str,
    role: Role | None,
    scopes: Collection[str] | None,
    *,
    account_role: Role | None = None,
) -> KeyBounds:
    """Return the bounds of a key to an organization.

    Without a role it is the least that holds all the maker may do there. A
    service account's key has the account's role, narrowed by scopes to what its
    maker may.

    Raises:
        InvalidInputError: a scope is no permission, or is not in the role.
        ForbiddenError: more was asked for than the maker may do.
    """
    allowed = maker.permissions_in(organization_id)
    if account_role is not None:
        if role not in (None, account_role):
            raise InvalidInputError(f"a key of this service account has its role, {account_role}; leave the role out")
        role = account_role
    elif role is not None:
        check_covers(maker, organization_id, role)
    else:
        role = next(one for one in ROLES if allowed <= GRANTS[one] or one == ROLES[-1])
    whole = GRANTS[role]
    if scopes is None:
        return KeyBounds(role, None if whole <= allowed else sorted(whole & allowed))
    wanted = _checked(frozenset(scopes))
    _refuse_beyond(frozenset(wanted) - allowed)
    outside = sorted(frozenset(wanted) - whole)
    if outside:
        raise InvalidInputError(f"the role {role} does not hold {', '.join(outside)}; choose a role that does")
    return KeyBounds(role, wanted)


def check_covers(maker: Caller, organization_id: str, role: Role) -> None:
    """Refuse a role that could do what its giver may not, by ForbiddenError."""
    _refuse_beyond(GRANTS[role] - maker.permissions_in(organization_id))


def check_revokes(maker: Caller, organization_id: str, role: Role | None, scopes: Collection[str] | None) -> None:
    """Refuse to have a key revoked by who may less than it, by ForbiddenError; they could cut off those above them."""
    held = frozenset(PERMISSIONS) if role is None else GRANTS[role]
    beyond = (held if scopes is None else held & frozenset(scopes)) - maker.permissions_in(organization_id)
    if beyond:
        names = ", ".join(sorted(beyond))
        raise ForbiddenError(f"you cannot revoke a key that may do what you may not: {names}; ask somebody who may")


def _refuse_beyond(beyond: frozenset[str]) -> None:
    if beyond:
        names = ", ".join(sorted(beyond))
        raise ForbiddenError(f"you cannot give what you may not do yourself: {names}")


def _checked(scopes: frozenset[str]) -> list[str]:
    unknown = sorted(scopes - PERMISSIONS.keys())
    if unknown:
        named = ", ".join(unknown)[:200]
        raise InvalidInputError(f"no permission {named}; there are: {', '.join(sorted(PERMISSIONS))}")
    if not scopes:
        raise InvalidInputError("a key without any scope could do nothing; name some, or leave scopes out for all")
    return sorted(scopes)
