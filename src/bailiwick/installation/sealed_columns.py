"""Every column of the platform that holds sealed values, for a rotation to seal them anew.

Left out on purpose, for nobody may update them: ``audit_key_secrets.sealed`` and
``certificate_keys.sealed``. The version of the key that sealed them goes on
opening them.
"""

from bailiwick.connectors.credentials import COLUMN as CREDENTIALS
from bailiwick.vault.columns import SealedColumn

SEALED_COLUMNS = (
    CREDENTIALS,
    SealedColumn("identity_providers", "sealed_client_secret", "identity_provider.client_secret:{id}"),
    SealedColumn("subject_hash_keys", "sealed", "privacy.lookup", key="organization_id"),
    SealedColumn("subject_identifiers", "sealed", "privacy.identifier:{kind}"),
    SealedColumn("consent_changes", "sealed_note", "privacy.consent_note"),
    SealedColumn("data_requests", "archive", "privacy.archive:{id}"),
    SealedColumn("totp_secrets", "sealed_secret", "totp.secret", key="user_id", is_tenants=False),
    SealedColumn("signing_keys", "private_key", "signing_keys.private_key:{kid}", key="kid", is_tenants=False),
)
