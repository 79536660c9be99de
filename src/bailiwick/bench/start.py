"""``bailiwick bench start``: how long ``bailiwick up`` takes on an existing data folder until it is ready."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import httpx

from bailiwick.bench.report import Bound, Report

_ROUNDS = 5
_LIMIT_SECONDS = 3.0
_PATIENCE_SECONDS = 120.0


async def measure_start(*, say: Callable[[str], None]) -> Report:
    """Start five times after the first; the median counts, from process start to a ready answer."""
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-bench-"))
    try:
        say("first start, which makes the database")
        first = await _start(folder)
        say(f"starting {_ROUNDS} times on the existing folder")
        rounds = [await _start(folder) for _ in range(_ROUNDS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures: dict[str, float | None] = {
        "ready_seconds": round(median(rounds), 3),
        "slowest_ready_seconds": round(max(rounds), 3),
        "first_ready_seconds": round(first, 3),
    }
    bound = Bound("ready in seconds", figures["ready_seconds"], _LIMIT_SECONDS, at_least=False)
    return Report("start", figures, [bound], {"rounds_seconds": [round(taken, 3) for taken in rounds]})


async def _start(folder: Path) -> float:
    port = _free_port()
    environment = {**os.environ, "BAILIWICK_DATA_DIR": str(folder), "BAILIWICK_PORT": str(port)}
    environment.pop("BAILIWICK_DATABASE_URL", None)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bailiwick.main", "up",
        env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await _ready(f"http://127.0.0.1:{port}/readyz", process)
        return time.perf_counter() - began
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(timeout=2) as client:
        while process.returncode is None:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.01)
    raise RuntimeError(f"`bailiwick up` ended with status {process.returncode} before it was ready; run it to see why")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
