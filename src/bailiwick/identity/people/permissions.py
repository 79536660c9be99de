"""What each role may do: the table in permissions.toml, read and checked at import.

The file is the documentation too: every permission, every role and every
operation of the API stands there with its meaning.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, cast, get_args

from bailiwick.kernel.errors import InternalError, InvalidInputError

Role = Literal["viewer", "operator", "developer", "admin", "owner"]

# From the least to the most; each may do everything that those before it may.
ROLES: tuple[Role, ...] = get_args(Role)

# What an operation may need instead of a permission: nobody known, anybody known, the installation's administrator.
NO_PERMISSIONS = frozenset({"open", "self", "installation"})


def parse_role(text: str) -> Role:
    """Return a role by its name, or raise InvalidInputError naming those there are."""
    if text not in ROLES:
        raise InvalidInputError(f"no role {text[:50]!r}; there are: {', '.join(ROLES)}")
    return text


def covers(role: Role, other: Role) -> bool:
    """Tell whether a role is at least another: who holds it may give, change and take the other."""
    return ROLES.index(role) >= ROLES.index(other)


def may(role: Role, permission: str) -> bool:
    """Tell whether a role may do something in its organization.

    Raises:
        InternalError: the table does not know the permission, so nobody ever decided who has it.
    """
    if permission not in PERMISSIONS:
        raise InternalError(f"the permission {permission!r} is not in permissions.toml")
    return permission in GRANTS[role]


def highest_role(permissions: frozenset[str]) -> Role | None:
    """Return the highest role all of whose permissions are among these, or None: what their holder may give others."""
    return next((role for role in reversed(ROLES) if GRANTS[role] <= permissions), None)


def read_table(text: str) -> tuple[Mapping[str, str], Mapping[Role, frozenset[str]], Mapping[str, str]]:
    """Return permissions with their meaning, all that each role may do, and what each operation needs.

    Raises:
        InternalError: the table contradicts itself; the message names the line's content.
    """
    table = tomllib.loads(text)
    if tuple(table["order"]) != ROLES or set(table["roles"]) != set(ROLES):
        raise InternalError(f"permissions.toml must order and describe exactly the roles {', '.join(ROLES)}")
    permissions: dict[str, str] = table["permissions"]
    grants: dict[Role, frozenset[str]] = {}
    so_far: frozenset[str] = frozenset()
    for role in ROLES:
        so_far |= _expanded(table["roles"][role], permissions)
        grants[role] = so_far
    operations = cast("dict[str, str]", table["operations"])
    for operation, needed in operations.items():
        if needed not in NO_PERMISSIONS and needed not in permissions:
            raise InternalError(f"permissions.toml: {operation} needs {needed!r}, which is no permission")
    return permissions, grants, operations


def read_persons() -> frozenset[str]:
    """Return the operations that only a person may ask for, by their ids; the services themselves refuse programs.

    Raises:
        InternalError: one of them is no operation of the table.
    """
    table = tomllib.loads(_TABLE)
    named = frozenset[str](table["persons"]["operations"])
    unknown = sorted(named - table["operations"].keys())
    if unknown:
        raise InternalError(f"permissions.toml: {', '.join(unknown)} need a person and are no operations")
    return named


def _expanded(role: dict[str, Any], permissions: Mapping[str, str]) -> frozenset[str]:
    found: set[str] = set()
    for entry in role["may"]:
        resource, _, action = entry.partition(":")
        if not resource or not action or "*" in resource:
            raise InternalError(f"permissions.toml: {entry!r} is not resource:action; no role may do everything")
        matching = {name for name in permissions if name.startswith(f"{resource}:")} if action == "*" else {entry}
        if not matching or not matching <= permissions.keys():
            raise InternalError(f"permissions.toml: {entry!r} is not among the permissions")
        found |= matching
    return frozenset(found)


_TABLE = files("bailiwick.identity.people").joinpath("permissions.toml").read_text(encoding="utf-8")
PERMISSIONS, GRANTS, OPERATIONS = read_table(_TABLE)
