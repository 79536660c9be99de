"""Where a request comes from: the peer, or what a reverse proxy that is trusted says of it."""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from bailiwick.kernel.errors import InvalidInputError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The reverse proxies in front of the API. Nobody else is believed about where a request comes from."""

    def __init__(self, networks: Sequence[_Network] = ()) -> None:
        self._networks = tuple(networks)

    @classmethod
    def parse(cls, text: str) -> "TrustedProxies":
        """Return the proxies of a list of addresses and networks, separated by commas.

        Raises:
            InvalidInputError: one is neither.
        """
        try:
            return cls([ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()])
        except ValueError as error:
            raise InvalidInputError(
                f"BAILIWICK_TRUSTED_PROXIES: {error}; give addresses or networks such as 10.0.0.7, 10.1.0.0/16"
            ) from error

    def address_of(self, scope: Scope) -> str | None:
        """Return the address of the client.

        Of ``X-Forwarded-For`` only the part that trusted proxies wrote counts:
        read from its end, the first address that is none of them. Whatever the
        client itself put in front of that is ignored.
        """
        peer = _peer(scope)
        if peer is None or not self._is_trusted(peer):
            return peer
        address = peer
        for part in reversed(_values(scope, "x-forwarded-for")):
            parsed = _address(part)
            if parsed is None:
                break
            address = parsed
            if not self._is_trusted(address):
                break
        return address

    def is_https(self, scope: Scope) -> bool:
        """Tell whether the client speaks https, to us or to a trusted proxy."""
        peer = _peer(scope)
        if peer is not None and self._is_trusted(peer):
            forwarded = _values(scope, "x-forwarded-proto")
            if forwarded:
                return forwarded[-1].lower() == "https"
        return scope["scheme"] == "https"

    def _is_trusted(self, address: str) -> bool:
        if not self._networks:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)


def is_loopback(address: str | None) -> bool:
    """Tell whether an address is this machine's own."""
    return address is not None and ipaddress.ip_address(address).is_loopback


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return None if client is None else _address(str(client[0]))


def _address(text: str) -> str | None:
    """Return an address in its normal form, without port and brackets, or None if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _values(scope: Scope, name: str) -> list[str]:
    joined = ",".join(Headers(scope=scope).getlist(name))
    return [part.strip() for part in joined.split(",") if part.strip()]
