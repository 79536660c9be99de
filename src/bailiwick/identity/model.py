"""Organizations, and who calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bailiwick.audit import ADMINISTRATOR, Actor
from bailiwick.identity.people.permissions import PERMISSIONS

CallerKind = Literal["user", "key", "service", "system"]


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: whose work it is, and whose data nobody else sees."""

    id: str
    slug: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who knocked, with proof of it.

    ``id`` is that of the user, key or service account. ``grants`` are the
    permissions by organization; an administrator of the installation needs none,
    but a key of theirs may be bounded by ``scopes``. ``session_id`` is the login
    behind a token or cookie, ``token_id`` the access token, ``key_id`` the key,
    ``holder_id`` the person whose key it is, ``makers`` the people who made the
    key and its service account, and those behind what they made it with.
    """

    kind: CallerKind
    id: str
    name: str
    is_admin: bool = False
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    scopes: frozenset[str] | None = None
    session_id: str | None = None
    key_id: str | None = None
    token_id: str | None = None
    holder_id: str | None = None
    makers: frozenset[str] = frozenset()

    @property
    def is_unbounded_admin(self) -> bool:
        """Tell whether everything is open to this caller, the installation itself included."""
        return self.is_admin and self.scopes is None

    def sees(self, organization_id: str) -> bool:
        """Tell whether the caller belongs to an organization, or to the installation."""
        return self.is_admin or organization_id in self.grants

    def may(self, permission: str, organization_id: str) -> bool:
        """Tell whether the caller may do something in an organization."""
        if self.is_admin:
            return self.scopes is None or permission in self.scopes
        return permission in self.grants.get(organization_id, ())

    def permissions_in(self, organization_id: str) -> frozenset[str]:
        """Return everything the caller may do in an organization."""
        if self.is_admin:
            return frozenset(PERMISSIONS) if self.scopes is None else self.scopes
        return self.grants.get(organization_id, frozenset())

    @property
    def labels(self) -> frozenset[str]:
        """What work carries that this caller asked for; who holds a key asks for what it asks for."""
        return self.actor().labels

    @property
    def people(self) -> frozenset[str]:
        """Return everybody behind the caller: what it makes is made by them."""
        person = self.actor().person
        return self.makers if person is None else self.makers | {person}

    def actor(self, address: str | None = None) -> Actor:
        """Return the caller as the audit log names who acts."""
        return Actor(self.kind, self.id, self.name, address, self.holder_id, self.makers)


# Commands on the machine itself: whoever can read its database is the administrator already.
MACHINE = Caller("system", "system", "the command line", is_admin=True, makers=frozenset({ADMINISTRATOR}))
