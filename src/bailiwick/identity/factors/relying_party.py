"""Who a passkey is made for: the relying party, read off the address under which people reach the platform."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from bailiwick.kernel.errors import InvalidInputError

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """``id`` is the host name that passkeys are bound to, ``origin`` what a browser must report.

    ``name`` is what the browser shows.
    """

    id: str
    origin: str
    name: str = "Bailiwick"

    @classmethod
    def of(cls, public_url: str) -> "RelyingParty":
        """Return the relying party of a public address.

        Raises:
            InvalidInputError: browsers make no passkeys there. They want a name and https, or ``localhost``.
        """
        advice = "; set BAILIWICK_PUBLIC_URL to the https:// address with a host name that people use"
        parts = urlsplit(public_url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in _DEFAULT_PORTS or not host:
            raise InvalidInputError(f"{public_url!r} is no public address{advice}")
        if _is_address(host):
            raise InvalidInputError(f"passkeys are bound to a host name, and {host} is an address{advice}")
        if parts.scheme == "http" and host != "localhost" and not host.endswith(".localhost"):
            raise InvalidInputError(f"browsers make no passkeys for {public_url!r}{advice}")
        port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
        return cls(host, f"{parts.scheme}://{host}{port}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
