"""Organizations and keys."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: whose work it is, and whose data nobody else sees."""

    id: str
    slug: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who knocked with a valid key. Without an organization: the installation's administrator."""

    key_id: str
    name: str
    organization_id: str | None

    @property
    def is_admin(self) -> bool:
        """Tell whether every organization is open to this caller."""
        return self.organization_id is None
