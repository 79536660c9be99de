"""Identity: organizations, the people and programs that belong to them, and what opens the doors."""

from bailiwick.identity.model import MACHINE, Caller, Organization
from bailiwick.identity.organizations import Organizations, slug_of
from bailiwick.identity.tokens.keys import IssuedKey, KeyRecord, Keys
from bailiwick.identity.tokens.service_accounts import ServiceAccount, ServiceAccounts
from bailiwick.identity.tokens.sessions import BrowserSession, SessionRecord, Sessions, TokenPair
from bailiwick.identity.tokens.signing import SigningKeys

__all__ = [
    "MACHINE", "BrowserSession", "Caller", "IssuedKey", "KeyRecord", "Keys", "Organization", "Organizations",
    "ServiceAccount", "ServiceAccounts", "SessionRecord", "Sessions", "SigningKeys", "TokenPair", "slug_of",
]  # fmt: skip
