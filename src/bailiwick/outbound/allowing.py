"""What an installation's administrator allows to be reached beyond the public internet's ports 80 and 443."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Self

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.outbound.addresses import Address, Network, is_open_by_name, why_closed

SETTING = "BAILIWICK_OUTBOUND_ALLOWED"
USUAL_PORTS = frozenset((80, 443))
# In brackets, without a colon, or an IPv6 network without brackets and so without a port.
_ENTRY = re.compile(
    r"(?:(?P<host>\[[0-9A-Fa-f:.]+\](?:/\d{1,3})?|[^\s:\[\]]+)(?::(?P<port>\d{1,5}|\*))?)|(?P<bare>[0-9A-Fa-f:.]+(?:/\d{1,3})?)"
)
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*")


class OutboundRefusedError(InvalidInputError):
    """An address was asked for that may not be reached from here; the message says which setting would allow it."""

    code = "outbound.refused"


@dataclass(frozen=True, slots=True)
class _Allowed:
    """One entry: a network or a host's name, and its ports; none stands for 80 and 443, ``*`` for all."""

    network: Network | None
    name: str | None
    port: str | None

    def opens_port(self, port: int) -> bool:
        return self.port == "*" or (port in USUAL_PORTS if self.port is None else port == int(self.port))

    def covers(self, host: str, address: Address) -> bool:
        if self.network is not None:
            return address in self.network
        return host == self.name


class AllowList:
    """Host names and networks that may be reached although they are not public, or not on ports 80 and 443.

    An entry is a name (``github.corp.example``), an address or a network
    (``10.20.0.0/16``, ``[fd12::]/16``), with a port where it is another than 80
    and 443 (``idp.corp.example:8443``; ``:*`` for any). A name does not open
    the local link, multicast, or a cloud's metadata service: these must be
    written as addresses.
    """

    def __init__(self, entries: Sequence[_Allowed] = ()) -> None:
        self._entries = tuple(entries)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read entries separated by commas or white space.

        Raises:
            InvalidInputError: one of them is neither a name nor a network; the message quotes it.
        """
        return cls([_entry(one) for one in re.split(r"[\s,]+", text) if one])

    def check(self, host: str, port: int, addresses: Sequence[Address]) -> None:
        """Make sure that every address a name resolved to may be reached.

        All of them, because a name that stands for a public and a private
        address at once is how a check and a connection are made to differ.

        Raises:
            OutboundRefusedError: one may not; the message says why and which setting would allow it.
        """
        host = host.lower().rstrip(".")
        for address in addresses:
            self._check_one(host, port, address)

    def _check_one(self, host: str, port: int, address: Address) -> None:
        closed = why_closed(address)
        covering = [
            entry
            for entry in self._entries
            if entry.covers(host, address) and (closed is None or entry.network or is_open_by_name(address))
        ]
        advice = f"an administrator can allow it: add {_suggestion(host, port, address)} to {SETTING}"
        if closed is not None and not covering:
            shown = host if host == str(address) else f"{host} ({address})"
            raise OutboundRefusedError(
                f"{shown} may not be reached from here: it is {closed}. If it is one of your own systems, {advice}"
            )
        is_usual = closed is None and port in USUAL_PORTS
        if not is_usual and not any(entry.opens_port(port) for entry in covering):
            raise OutboundRefusedError(f"port {port} of {host} may not be reached from here; {advice}")


NOTHING_ALLOWED = AllowList()


def _entry(text: str) -> _Allowed:
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise _unusable(text)
    host, port = (found["host"] or found["bare"]).replace("[", "").replace("]", "").lower(), found["port"]
    if port not in (None, "*") and not 1 <= int(port) <= 65_535:
        raise _unusable(text)
    try:
        return _Allowed(ip_network(host), None, port)
    except ValueError:
        # Names end in a letter; what looks like a number and is no address is a typing error.
        if "/" in host or not _NAME.fullmatch(host.rstrip(".")) or host.rsplit(".", 1)[-1].isdigit():
            raise _unusable(text) from None
    return _Allowed(None, host.rstrip("."), port)


def _unusable(text: str) -> InvalidInputError:
    return InvalidInputError(
        f"{text[:100]!r} in {SETTING} is neither a host's name nor a network such as 10.20.0.0/16 "
        "(its host bits must be zero), with :PORT behind it where one is meant"
    )


def _suggestion(host: str, port: int, address: Address) -> str:
    try:
        ip_address(host)
        name = ""
    except ValueError:
        name = host if is_open_by_name(address) else ""
    shown = name or (f"[{address}]" if address.version == 6 else str(address))
    return shown if port in USUAL_PORTS else f"{shown}:{port}"
