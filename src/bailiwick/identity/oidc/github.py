"""Login with GitHub: OAuth 2.0 without OpenID Connect, so the API says who somebody is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bailiwick.identity.oidc.errors import IdentityUnprovenError

if TYPE_CHECKING:
    from bailiwick.identity.oidc.calling import ProviderCalls

_PUBLIC = "https://github.com"
_PUBLIC_API = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class GitHubEndpoints:
    """Where GitHub, or a GitHub Enterprise Server, is asked."""

    authorization: str
    token: str
    api: str

    @classmethod
    def of(cls, issuer: str) -> "GitHubEndpoints":
        """Return the endpoints of the public GitHub or of a server of one's own."""
        base = issuer.rstrip("/")
        api = _PUBLIC_API if base == _PUBLIC else f"{base}/api/v3"
        return cls(f"{base}/login/oauth/authorize", f"{base}/login/oauth/access_token", api)


async def read_user(calls: "ProviderCalls", issuer: str, token: str) -> dict[str, Any]:
    """Return who holds an access token, as claims: sub, name, email with email_verified, groups.

    The address is the account's primary one, and only what GitHub has verified.
    Groups are organizations (``acme``) and teams (``acme/operations``).

    Raises:
        IdentityUnprovenError: GitHub does not say who it is.
    """
    api = GitHubEndpoints.of(issuer).api
    user = await calls.get(f"{api}/user", token=token)
    if not isinstance(user, dict) or not isinstance(user.get("id"), int):
        raise IdentityUnprovenError("GitHub does not say who logged in; log in again")
    said = cast("dict[str, Any]", user)
    email = _verified_email(await calls.get(f"{api}/user/emails", token=token))
    organizations = _names(await calls.get(f"{api}/user/orgs?per_page=100", token=token), _organization)
    teams = _names(await calls.get(f"{api}/user/teams?per_page=100", token=token), _team)
    return {
        # The number: a login name can be given up and taken by somebody else.
        "sub": str(said["id"]),
        "name": said.get("name") or said.get("login"),
        "email": email,
        "email_verified": email is not None,
        "groups": [*organizations, *teams],
    }


def _verified_email(document: Any) -> str | None:
    for one in cast("list[Any]", document) if isinstance(document, list) else []:
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            return str(one.get("email"))
    return None


def _names(document: Any, name_of: Any) -> list[str]:
    listed = cast("list[Any]", document) if isinstance(document, list) else []
    return [name for one in listed if isinstance(one, dict) and (name := name_of(one)) is not None]


def _organization(one: dict[str, Any]) -> str | None:
    login = one.get("login")
    return login if isinstance(login, str) else None


def _team(one: dict[str, Any]) -> str | None:
    organization, slug = one.get("organization"), one.get("slug")
    login = _organization(cast("dict[str, Any]", organization)) if isinstance(organization, dict) else None
    return f"{login}/{slug}" if login and isinstance(slug, str) else None
