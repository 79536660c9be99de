"""What is known of the large identity providers beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bailiwick.kernel.errors import InvalidInputError

Protocol = Literal["oidc", "github"]

OIDC_SCOPES = ("openid", "email", "profile")


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider whose address and scopes need not be typed; ``{tenant}`` in the issuer is the customer's own."""

    name: str
    protocol: Protocol
    issuer: str
    scopes: tuple[str, ...]
    help: str

    def issuer_for(self, tenant: str | None) -> str:
        """Return the issuer, with the tenant where one belongs into it.

        Raises:
            InvalidInputError: the tenant is missing, or one of Microsoft's shared ones, which let anybody in.
        """
        if "{tenant}" not in self.issuer:
            return self.issuer
        if (
            tenant is None
            or not tenant.replace("-", "").isalnum()
            or tenant in ("common", "organizations", "consumers")
        ):
            raise InvalidInputError(f"{self.name} needs the id of your own tenant: --tenant ID")
        return self.issuer.format(tenant=tenant.lower())


# Issuers as the providers' discovery documents name them.
PRESETS: Mapping[str, Preset] = {
    "google": Preset(
        "Google", "oidc", "https://accounts.google.com", OIDC_SCOPES,
        "Make an OAuth client of type web application at console.cloud.google.com.",
    ),
    "microsoft": Preset(
        "Microsoft", "oidc", "https://login.microsoftonline.com/{tenant}/v2.0", OIDC_SCOPES,
        "Register an application at entra.microsoft.com. It sends no email_verified; see trusts_email.",
    ),
    "github": Preset(
        "GitHub", "github", "https://github.com", ("read:user", "user:email", "read:org"),
        "Make an OAuth app in the organization's developer settings. Groups are organizations and organization/team.",
    ),
}  # fmt: skip
