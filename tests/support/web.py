"""A web server on loopback that answers what a test planned, and a resolver that says what a test wants."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from bailiwick.outbound.addresses import Address

Answer = bytes | Callable[[asyncio.StreamWriter], object]


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """An answer of HTTP/1.1 that closes the connection."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Web:
    """What a server was asked, and where it listens."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    pages: Mapping[str, Answer] = field(default_factory=dict[str, Answer])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(
    pages: Mapping[str, Answer], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[Web]:
    """Serve pages by path until the block ends."""
    web = Web(pages=pages)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            web.requests.append(head)
            length = next((line.split(":")[1] for line in head.lower().splitlines() if "content-length" in line), "0")
            if int(length):
                web.requests[-1] += (await reader.readexactly(int(length))).decode()
            page = web.pages.get(head.split()[1], answer("404 Not Found"))
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                page(writer)
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()


class Names:
    """A resolver that gives each name its answers in turn; the last one stays."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        given = self._answers[host]
        return [ip_address(one) for one in (given.pop(0) if len(given) > 1 else given[0]).split()]
