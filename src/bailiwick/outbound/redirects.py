"""Where a redirect leads: the next request, without what was meant for the first host only."""

import httpx

from bailiwick.outbound.allowing import OutboundRefusedError

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
# What follows to another origin. Everything else may be a credential, whatever it is called.
_HARMLESS = frozenset(("accept", "accept-encoding", "accept-language", "user-agent", "content-type", "connection"))
_OF_THE_BODY = ("content-length", "content-type", "transfer-encoding", "content-encoding")


def redirected(request: httpx.Request, status: int, headers: httpx.Headers) -> httpx.Request | None:
    """Return the request that an answer asks for next, or None if it is no redirect.

    Credentials go no further than the origin (scheme, host, port) they were
    given for; a password in the new address is dropped.

    Raises:
        OutboundRefusedError: from https to http, or to an address that is no web address.
        httpx.RemoteProtocolError: the new address cannot be read.
        httpx.StreamConsumed: a body that was streamed would have to be sent again.
    """
    location = headers.get("location")
    if status not in _REDIRECTS or not location:
        return None
    try:
        url = request.url.join(location).copy_with(username=None, password=None, fragment=None)
    except httpx.InvalidURL as error:
        raise httpx.RemoteProtocolError("the address of a redirect cannot be read", request=request) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise OutboundRefusedError("a redirect leads to something that is no web address; it is not followed")
    if request.url.scheme == "https" and url.scheme == "http":
        raise OutboundRefusedError(f"{request.url.host} redirects from https to http; that is not followed")
    return _request(request, status, url)


def _request(request: httpx.Request, status: int, url: httpx.URL) -> httpx.Request:
    kept = httpx.Headers(request.headers)
    if _origin(url) != _origin(request.url):
        kept = httpx.Headers([(name, value) for name, value in kept.multi_items() if name.lower() in _HARMLESS])
    kept.pop("host", None)
    turns_to_get = (status == 303 and request.method != "HEAD") or (status in (301, 302) and request.method == "POST")
    method = "GET" if turns_to_get else request.method
    if method != request.method:
        for name in _OF_THE_BODY:
            kept.pop(name, None)
        return httpx.Request(method, url, headers=kept)
    try:
        content = request.content
    except httpx.RequestNotRead as error:
        raise httpx.StreamConsumed from error
    kept.pop("content-length", None)
    return httpx.Request(method, url, headers=kept, content=content or None)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
