"""The browser's session: its two cookies, and the proof that a request comes from our own pages.

``session`` holds an opaque token that only the server can read anything into;
no script sees it. ``csrf`` holds a value that is bound to that token and that
our pages copy into ``X-CSRF-Token``: another site can make a browser send both
cookies but cannot read either, so it cannot send the header.
"""

import hmac

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from bailiwick.api.client_address import TrustedProxies, is_loopback
from bailiwick.identity import BrowserSession
from bailiwick.identity.tokens.refresh_tokens import LONGEST_LIFETIME
from bailiwick.identity.tokens.session_tokens import csrf_of
from bailiwick.kernel.errors import ForbiddenError

CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SESSION = "bailiwick_session"
_CSRF = "bailiwick_csrf"
# Binds a cookie to https, this host and the whole of it; browsers enforce that.
_HOST_PREFIX = "__Host-"


class CrossSiteError(ForbiddenError):
    """A request with a session cookie does not prove that it comes from our own pages."""

    code = "cross_site"


def give_session(response: Response, scope: Scope, session: BrowserSession, proxies: TrustedProxies) -> None:
    """Put a session into the cookies of an answer.

    Raises:
        ForbiddenError: the connection is neither https nor from this machine, so the cookie would travel in the open.
    """
    is_https = proxies.is_https(scope)
    if not is_https and not is_loopback(proxies.address_of(scope)):
        raise ForbiddenError("a browser's session needs https; put a reverse proxy with TLS in front, or use tokens")
    # The server decides when the session ends; the browser keeps the cookie for as long as that may take.
    seconds = int(LONGEST_LIFETIME.total_seconds())
    for name, value, is_secret in ((_SESSION, session.token, True), (_CSRF, session.csrf, False)):
        response.set_cookie(
            _named(name, is_https=is_https), value, max_age=seconds, path="/", secure=is_https,
            httponly=is_secret, samesite="lax",
        )  # fmt: skip


def take_session(response: Response, scope: Scope, proxies: TrustedProxies) -> None:
    """Let the browser forget its session."""
    is_https = proxies.is_https(scope)
    for name in (_SESSION, _CSRF):
        response.delete_cookie(_named(name, is_https=is_https), path="/", secure=is_https, samesite="lax")


def session_token(scope: Scope, proxies: TrustedProxies) -> str | None:
    """Return the session token a browser sent, or None.

    Over https only the prefixed name counts: the plain one could have been set
    by another host of the same domain.
    """
    cookie = Headers(scope=scope).get("cookie")
    if not cookie:
        return None
    return cookie_parser(cookie).get(_named(_SESSION, is_https=proxies.is_https(scope)))


def check_own_page(scope: Scope, token: str) -> None:
    """Refuse a change by a browser's session that does not prove that it comes from our own pages.

    Raises:
        CrossSiteError: another site sent it, or the CSRF token is missing or not this session's.
    """
    if scope["method"] in SAFE_METHODS:
        return
    check_origin(scope)
    sent = Headers(scope=scope).get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), csrf_of(token).encode()):
        raise CrossSiteError(
            "the header X-CSRF-Token is missing or not this session's; send the value of the csrf cookie"
        )


def check_origin(scope: Scope) -> None:
    """Refuse a change that a browser says another site asks for; for what is open, too: a login, say.

    Browsers send ``Sec-Fetch-Site`` or at least ``Origin``; programs send neither.

    Raises:
        CrossSiteError: another site does.
    """
    if scope["method"] in SAFE_METHODS:
        return
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        is_ours = origin is None or origin.lower().partition("://")[2] == headers.get("host", "").lower()
    if not is_ours:
        raise CrossSiteError("another site asked the browser for this; open Bailiwick itself and try there")


def _named(name: str, *, is_https: bool) -> str:
    return _HOST_PREFIX + name if is_https else name
