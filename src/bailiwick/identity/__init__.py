"""Identity: organizations, and the keys that open the doors."""

from bailiwick.identity.keys import KeyRecord, Keys
from bailiwick.identity.model import Caller, Organization
from bailiwick.identity.organizations import Organizations, slug_of

__all__ = ["Caller", "KeyRecord", "Keys", "Organization", "Organizations", "slug_of"]
