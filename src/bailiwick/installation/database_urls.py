"""Where an installation's database is: on a server that was given, or in the embedded one."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from bailiwick.installation.recovery import archive_of
from bailiwick.installation.settings import Settings
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.roles import application_url

Progress = Callable[[str], None]


def say_nothing(sentence: str) -> None:
    """Take a progress report and drop it."""


@asynccontextmanager
async def database_urls(settings: Settings, progress: Progress) -> AsyncGenerator[tuple[str, str]]:
    """Yield the address for the application and the one for who migrates."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        admin = settings.database_admin_url
        yield application_url(url), url if admin is None else admin.get_secret_value()
        return
    server = EmbeddedServer(settings.data_dir, progress=progress, archive=archive_of(settings))
    progress("starting the embedded PostgreSQL")
    # The server lives as long as the thread that starts it: this one.
    server.start()
    watch = asyncio.create_task(server.watch())
    try:
        yield server.url, server.admin_url
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        server.stop()
