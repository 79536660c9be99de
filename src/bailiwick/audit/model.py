"""What the audit log holds: acts, who performed them, and the entries and roots they become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bailiwick.kernel.labels import NO_LABELS, by

ActorKind = Literal["user", "key", "service", "agent", "system", "anonymous"]

ADMINISTRATOR = "administrator"
"""Which person gives commands on the machine itself; everybody else is ``user:ID``."""

_AT_THE_MACHINE = "account:"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``id`` is that of the user, key, service account or agent; ``address`` where the request came from.

    ``holder_id`` is the person whose key it is, ``makers`` the people who made
    the key and the service account: what it asks for, they ask for.
    """

    kind: ActorKind
    id: str
    name: str
    address: str | None = None
    # Of the caller, not of the act: entries are kept without them.
    holder_id: str | None = field(default=None, compare=False)
    makers: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def user_id(self) -> str | None:
        """Return the user who acts, in person or by a key of their own."""
        return self.id if self.kind == "user" else self.holder_id

    @property
    def person(self) -> str | None:
        """Return which person acts: ``user:ID``, or ADMINISTRATOR at the machine; None for programs and the platform.

        This alone tells whether somebody's word is a person's. Keys of nobody
        and service accounts are programs, whatever they may do.
        """
        if self.kind == "system" and self.id.startswith(_AT_THE_MACHINE):
            return ADMINISTRATOR
        return None if self.user_id is None else f"user:{self.user_id}"

    @property
    def is_in_person(self) -> bool:
        """Tell whether the person is here, and not a program with a key of theirs."""
        return self.person is not None and self.kind != "key"

    @property
    def labels(self) -> frozenset[str]:
        """What work carries that this actor asked for; the platform itself asks for nothing."""
        if self.id == "system":
            return NO_LABELS
        held = frozenset[str]() if self.holder_id is None else frozenset({by("user", self.holder_id)})
        return held | {by(self.kind, self.id)} | {by("maker", maker) for maker in self.makers}


SYSTEM = Actor("system", "system", "the platform")


@dataclass(frozen=True, slots=True)
class Act:
    """One security- or authority-relevant act.

    ``organization_id`` is INSTALLATION for what concerns no organization or all
    of them. ``action`` is dotted and past tense (``key.created``), ``target``
    names what was acted on as ``kind:id``. ``before`` and ``after`` hold the
    fields that changed; never a secret.
    """

    organization_id: str
    action: str
    actor: Actor
    target: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An act in its chain: the ``seq``-th of its organization. Hashes are hexadecimal SHA-256."""

    seq: int
    id: str
    organization_id: str
    action: str
    actor: Actor
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    recorded_at: datetime
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are wanted; None asks for any. ``action`` may end in ``.*``."""

    action: str | None = None
    actor_id: str | None = None
    target: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A signature of the installation over where a chain stood: its ``seq``-th entry had that hash."""

    organization_id: str
    number: int
    seq: int
    signed_at: datetime
    kid: str
