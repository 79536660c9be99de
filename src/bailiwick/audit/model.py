"""What the audit log holds: acts, who performed them, and the entries and roots they become."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.kernel.labels import NO_LABELS, by

ActorKind = Literal["user", "key", "service", "agent", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``id`` is that of the user, key, service account or agent; ``address`` where the request came from."""

    kind: ActorKind
    id: str
    name: str
    address: str | None = None

    @property
    def labels(self) -> frozenset[str]:
        """What work carries that this actor asked for; the platform itself asks for nothing."""
        return NO_LABELS if self.id == "system" else frozenset({by(self.kind, self.id)})


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
