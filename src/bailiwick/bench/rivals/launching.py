"""Starts a rival in a process of its own and reads its document."""

import asyncio
import os
import sys
from typing import Final

from bailiwick.bench.rivals.entry import DEFAULT_SECONDS, URL_VARIABLE
from bailiwick.bench.rivals.result import RivalResult

RIVALS: Final = {
    "bailiwick": "bailiwick.bench.rivals.engine_entry",
    "bare_loop": "bailiwick.bench.rivals.bare_loop",
    "dbos": "bailiwick.bench.rivals.dbos_rival",
    "procrastinate": "bailiwick.bench.rivals.procrastinate_rival",
}

_PATIENCE_SECONDS = 120.0
_PATIENCE_FACTOR = 6.0
_LAST_WORDS = 400


async def run_rival(name: str, url: str, *, seconds: float = DEFAULT_SECONDS) -> RivalResult:
    """Measure one of ``RIVALS`` on the server at ``url``, whose role may create databases.

    Never raises for what happens inside the rival: a crash or a rival that
    does not end is a result that is not available, with the reason.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        RIVALS[name],
        "--seconds",
        str(seconds),
        "--json",
        # The URL holds a password, and everybody may read a command line.
        env={**os.environ, URL_VARIABLE: url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    limit_seconds = _PATIENCE_SECONDS + _PATIENCE_FACTOR * seconds
    try:
        async with asyncio.timeout(limit_seconds):
            out, errors = await process.communicate()
    except TimeoutError:
        return RivalResult(name, available=False, reason=f"it did not end within {limit_seconds:.0f} seconds")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        words = errors.decode(errors="replace").replace(url, "URL").strip()
        return RivalResult(name, available=False, reason=f"it failed: {words[-_LAST_WORDS:]}")
    return RivalResult.from_json(out.splitlines()[-1])
