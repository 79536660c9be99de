"""Login with outside identity providers: OpenID Connect by discovery, and GitHub's OAuth."""

from bailiwick.identity.oidc.errors import IdentityProviderError, IdentityRefusedError
from bailiwick.identity.oidc.flow import Asserted, OidcLogins, Started
from bailiwick.identity.oidc.linking import Admissions
from bailiwick.identity.oidc.policy import GroupRole, ProviderPolicy, RoleGrant
from bailiwick.identity.oidc.presets import PRESETS, Preset
from bailiwick.identity.oidc.providers import IdentityProvider, IdentityProviders, NewIdentityProvider

__all__ = [
    "PRESETS",
    "Admissions",
    "Asserted",
    "GroupRole",
    "IdentityProvider",
    "IdentityProviderError",
    "IdentityProviders",
    "IdentityRefusedError",
    "NewIdentityProvider",
    "OidcLogins",
    "Preset",
    "ProviderPolicy",
    "RoleGrant",
    "Started",
]
