"""The failures of httpcore, which makes the connections, as those of httpx, which callers know."""

import httpcore
import httpx

TRANSPORT_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def translated(error: Exception, request: httpx.Request | None = None) -> httpx.TransportError:
    """Return httpx's error of the same name as one of httpcore's."""
    for kind in type(error).__mro__:
        own = getattr(httpx, kind.__name__, None)
        if isinstance(own, type) and issubclass(own, httpx.TransportError):
            return own(str(error), request=request)
    return httpx.TransportError(str(error), request=request)
