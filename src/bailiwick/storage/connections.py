"""How every connection is set up, and what a lost one means."""

import asyncio
import traceback
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.string import TextLoader

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError, DiskFullError

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]

# What PostgreSQL answers while it starts, stops, recovers or has no slot left.
_PASSING_STATES = ("57P01", "57P02", "57P03", "53300", "08000", "08003", "08006", "25P03", "40001", "40P01", "55P03")


async def connect(url: str, *, application: str = "bailiwick") -> Connection:
    """Open one connection in autocommit, rows as dicts, identifiers as strings.

    Raises:
        DatabaseUnavailableError: nobody answers there, or the login is refused.
    """
    try:
        connection = await psycopg.AsyncConnection[Row].connect(
            url, autocommit=True, row_factory=dict_row, application_name=application, connect_timeout=10
        )
    except psycopg.OperationalError as error:
        raise unavailable(error) from error
    except asyncio.CancelledError as error:
        # Their variables hold the half-open connection for as long as anybody keeps
        # the error, and the server waits a minute for the rest of the login.
        traceback.clear_frames(error.__traceback__)
        raise
    await configure(connection)
    return connection


async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
    """Make a fresh connection speak our types; part of every pool's set-up."""
    connection.adapters.register_loader("uuid", TextLoader)
    set_json_loads(orjson.loads, connection)
    set_json_dumps(encode, connection)
    # Hot statements are prepared at their first use, not at their fifth.
    connection.prepare_threshold = 1


def is_being_cancelled() -> bool:
    """Tell whether the present task was asked to stop.

    The driver then cancels its statement on the server, and what comes of that
    may reach us as an error of its own in place of the CancelledError. Whoever
    takes errors for a reason to try again asks here first.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed once the database is back."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return error.sqlstate is None or error.sqlstate in _PASSING_STATES or error.sqlstate.startswith("08")
    return isinstance(error, DatabaseUnavailableError)


def is_disk_full(error: BaseException) -> bool:
    """Tell whether PostgreSQL could not write because its disk is full."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "53100"


def unavailable(error: psycopg.Error) -> BailiwickError:
    """Translate a driver's error into one that says what to do next."""
    if is_disk_full(error):
        return DiskFullError("the disk that holds the database is full; free some space, nothing acknowledged is lost")
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DatabaseUnavailableError(
        f"PostgreSQL does not answer ({first_line}); check that it runs and that BAILIWICK_DATABASE_URL is right"
    )
