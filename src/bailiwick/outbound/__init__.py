"""HTTP to addresses that somebody else can choose: only to the public internet and to what is allowed."""

from typing import TYPE_CHECKING

from bailiwick.outbound.allowing import NOTHING_ALLOWED, AllowList, OutboundRefusedError

if TYPE_CHECKING:
    import httpx

    from bailiwick.outbound.resolving import Resolver
    from bailiwick.outbound.transport import Bounds, GuardedTransport

__all__ = ["NOTHING_ALLOWED", "AllowList", "OutboundRefusedError", "client", "guarded_transport"]


def client(
    *,
    allow: AllowList | None = None,
    bounds: "Bounds | None" = None,
    headers: "dict[str, str] | None" = None,
    base_url: str = "",
    auth: "httpx.Auth | tuple[str, str] | None" = None,
    resolver: "Resolver | None" = None,
) -> "httpx.AsyncClient":
    """Return an HTTP client that reaches public addresses, and of others only those ``allow`` names.

    Use it for every address that a user or an outside system can choose. The
    name is resolved once per connection, and the connection goes to the address
    that was checked, while certificate and ``Host`` stay those of the name.
    Redirects are followed and checked anew; the response's ``url`` stays the
    first one. Size, time and the number of redirects are bounded. Proxies and
    passwords of the environment are not used.

    The bounds alone count: a ``timeout`` given to a call changes nothing.

    Its calls raise OutboundRefusedError, and httpx's errors for everything else.
    """
    import httpx  # noqa: PLC0415 - takes long to import, and most processes call nobody

    return httpx.AsyncClient(
        transport=guarded_transport(allow=allow, bounds=bounds, resolver=resolver),
        timeout=None,  # noqa: S113 - the transport has its own bounds
        headers=headers,
        base_url=base_url,
        auth=auth,
        trust_env=False,
        follow_redirects=False,
    )


def guarded_transport(
    *, allow: AllowList | None = None, bounds: "Bounds | None" = None, resolver: "Resolver | None" = None
) -> "GuardedTransport":
    """Return the transport of `client`, for a library that makes its own httpx client around it."""
    from bailiwick.outbound.transport import GuardedTransport  # noqa: PLC0415 - as above

    return GuardedTransport(NOTHING_ALLOWED if allow is None else allow, bounds=bounds, resolver=resolver)
