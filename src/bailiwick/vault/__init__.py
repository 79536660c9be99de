"""The vault: envelope encryption with a key per organization and per person, and destruction of those keys."""

from bailiwick.vault.errors import MasterKeyError, SealBrokenError
from bailiwick.vault.vault import ERASURE_SECONDS, Vault

__all__ = ["ERASURE_SECONDS", "MasterKeyError", "SealBrokenError", "Vault"]
