"""What the audit log holds: acts and who performed them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ActorKind = Literal["user", "key", "service", "agent", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``id`` is that of the user, key, service account or agent; ``address`` where the request came from."""

    kind: ActorKind
    id: str
    name: str
    address: str | None = None


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
