"""Serving: the API on a port, inside the event loop that runs already."""

import asyncio
import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import uvicorn

from bailiwick.api.app import create_app
from bailiwick.api.encryption import tls_context
from bailiwick.installation import Installation
from bailiwick.kernel.errors import BailiwickError, InvalidInputError, UnavailableError

_BACKLOG = 1024
_GRACE_SECONDS = 5


class PortInUseError(UnavailableError):
    """Another program listens where the API should."""

    code = "port.in_use"


def claim_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port; 0 takes a free one.

    Do this before anything slow: from here on no other program can take the
    port, and whoever connects early waits for the answer.

    Raises:
        PortInUseError: somebody else has it.
        InvalidInputError: this machine has no such address, or the port is reserved.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InvalidInputError(f"cannot listen on {host!r}: {error}; set BAILIWICK_HOST") from error
    # With the protocol named; without it asyncio leaves Nagle's algorithm on, and every answer waits 40 ms.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refusal(error, host, port) from error
    listener.setblocking(False)
    return listener


def _refusal(error: OSError, host: str, port: int) -> BailiwickError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {port} on {host} is in use; stop the program that has it, or choose another with BAILIWICK_PORT "
            "(0 takes a free one)"
        )
    return InvalidInputError(f"cannot listen on port {port} of {host}: {error.strerror}; set BAILIWICK_HOST or _PORT")


class Server:
    """The API of an installation on a port, for as long as an ``async with`` block runs.

    At its end no new connection is taken, streams end, requests under way get
    five seconds. Signals are left alone: they belong to whoever runs the process.
    """

    def __init__(self, installation: Installation, *, listener: socket.socket | None = None) -> None:
        """Serve on ``listener`` (see ``claim_port``), or where the settings say."""
        self._listener = listener or claim_port(installation.settings.host, installation.settings.port)
        # Where the API is reached, without a slash at the end.
        settings = installation.settings
        is_secure = settings.tls_certificate is not None or settings.tls_key is not None
        self.url = _url_of(self._listener, is_secure=is_secure)
        self.app = create_app(installation)
        config = uvicorn.Config(
            self.app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            # A waiting connection costs memory, and a half-sent request a slot.
            timeout_keep_alive=15,
            ws="none",
        )
        if is_secure:
            # Loaded first, because loading would put a context of its own in place of ours.
            config.load()
            config.ssl = tls_context(settings.tls_certificate, settings.tls_key)
        self._server = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to answer."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        began = asyncio.create_task(self._server.has_begun.wait())
        await asyncio.wait((began, self._serving), return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            began.cancel()
            await self._serving
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End streams, finish what is under way, and free the port."""
        self.app.state.bell.close()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._listener.close()


def _url_of(listener: socket.socket, *, is_secure: bool) -> str:
    host, port = str(listener.getsockname()[0]), int(listener.getsockname()[1])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - for showing only
    return f"{'https' if is_secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self.has_begun.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the process's signals to whoever runs it."""
        yield
