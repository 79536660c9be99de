"""The ways in: everything that logins need, wired together."""

from typing import TYPE_CHECKING

from bailiwick.identity.factors.ceremonies import Ceremonies
from bailiwick.identity.factors.passkeys import Passkeys
from bailiwick.identity.factors.recovery_codes import RecoveryCodes
from bailiwick.identity.factors.second_factors import SecondFactors
from bailiwick.identity.factors.totp import Totp
from bailiwick.identity.login.confirmations import Confirmations
from bailiwick.identity.login.login_rules import LoginRules
from bailiwick.identity.login.logins import Logins
from bailiwick.identity.oidc import Admissions, IdentityProviders, OidcLogins
from bailiwick.identity.oidc.mapping import RoleMapping

if TYPE_CHECKING:
    from bailiwick.installation.installation import Installation


class WaysIn:
    """Logins, second factors and identity providers of an installation."""

    def __init__(self, installation: "Installation") -> None:
        """Wire them from what an installation has already; nothing is loaded before somebody logs in."""
        database, audit = installation.database, installation.audit
        settings = installation.settings
        # Browsers make no passkeys for addresses such as 127.0.0.1, and trust this machine by name.
        passkeys_url = settings.public_url or f"http://localhost:{settings.port}"
        ceremonies = Ceremonies(database)
        codes = RecoveryCodes(database)
        self.totp = Totp(database, installation.vault, audit, codes)
        self.passkeys = Passkeys(database, audit, ceremonies, passkeys_url)
        self.factors = SecondFactors(database, audit, self.totp, self.passkeys, codes)
        self.rules = LoginRules(database, audit)
        self.confirmations = Confirmations(self.factors, installation.passwords, installation.alarms)
        self.logins = Logins(
            installation.accounts, installation.passwords, self.factors, self.rules, ceremonies,
            audit=audit, alarms=installation.alarms,
        )  # fmt: skip
        self.providers = IdentityProviders(database, installation.vault, audit, installation.organizations)
        self.oidc = OidcLogins(self.providers, ceremonies, allow=installation.outbound, public_url=settings.address())
        roles = RoleMapping(database, installation.memberships)
        self.admissions = Admissions(database, installation.accounts, roles, audit)
