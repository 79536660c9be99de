"""The cookie that ties a login at an identity provider to the browser that began it."""

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from bailiwick.api.client_address import TrustedProxies

_NAME = "bailiwick_login"
_SECONDS = 600


def give_browser_secret(response: Response, scope: Scope, secret: str, proxies: TrustedProxies) -> None:
    """Put the secret of a login just begun into a cookie."""
    is_https = proxies.is_https(scope)
    # Lax, because the provider's redirect back comes from another site.
    response.set_cookie(
        _named(is_https), secret, max_age=_SECONDS, path="/", secure=is_https, httponly=True, samesite="lax"
    )


def browser_secret(scope: Scope, proxies: TrustedProxies) -> str | None:
    """Return the secret that a browser kept, or None."""
    cookie = Headers(scope=scope).get("cookie")
    return cookie_parser(cookie).get(_named(proxies.is_https(scope))) if cookie else None


def take_browser_secret(response: Response, scope: Scope, proxies: TrustedProxies) -> None:
    """Let the browser forget it; the login is over."""
    is_https = proxies.is_https(scope)
    response.delete_cookie(_named(is_https), path="/", secure=is_https, samesite="lax")


def _named(is_https: bool) -> str:
    # The prefix keeps other hosts of the domain from setting it.
    return f"__Host-{_NAME}" if is_https else _NAME
