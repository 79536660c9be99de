"""Names to addresses: asked once for a connection, and the connection goes to nothing but the answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from bailiwick.outbound.addresses import Address

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return the addresses of a host, as this machine's resolver orders them, each once.

    Also reads the spellings of an address that only the system knows
    (``0x7f.1``, ``2130706433``), so that what is checked is what would be reached.

    Raises:
        OSError: there is no such name, or nobody answers.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
