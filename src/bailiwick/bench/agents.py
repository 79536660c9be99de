"""``bailiwick bench agents``: ten thousand agents that tick, on one worker, while people read."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import psutil
from pydantic import SecretStr

from bailiwick.agents import NewAgent
from bailiwick.api.serving import Server
from bailiwick.bench.report import Bound, Report
from bailiwick.bench.rivals.entry import URL_VARIABLE
from bailiwick.bench.rivals.measuring import percentile
from bailiwick.bench.rivals.scratch import scratch_database
from bailiwick.bench.server import bench_server
from bailiwick.bench.steps import TICK, BenchExtension, TickingAgent
from bailiwick.installation import Installation, Settings
from bailiwick.kernel import loops
from bailiwick.tasks.schedules import NewSchedule

AGENTS = 10_000
ORGANIZATIONS = 100
INTERVAL_SECONDS = 60.0
_PERIODS = 2
_READ_PAUSE_SECONDS = 0.05
_READ_LIMIT_MS = 100.0
_PATHS = ("tasks?limit=50", "agents?limit=50", "events?limit=50", "schedules?limit=50")


async def measure_agents(*, say: Callable[[str], None], agents: int = AGENTS) -> Report:
    """Run the worker in a process of its own, read its API from here."""
    async with bench_server() as server, scratch_database(server.url, "agents") as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bailiwick.bench.agents", str(agents),
            env={**os.environ, URL_VARIABLE: url},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            say(f"making {agents:,} agents in {ORGANIZATIONS} organizations")
            ready = orjson.loads(await _line(process))
            await asyncio.sleep(max(0.0, ready["first_tick_at"] - time.time()))
            say(f"reading while they tick for {_PERIODS} periods of {INTERVAL_SECONDS:.0f} s")
            reads = await _read_for(ready["url"], ready["key"], _PERIODS * INTERVAL_SECONDS)
            if process.stdin is not None:
                process.stdin.write(b"\n")
            found = orjson.loads(await _line(process))
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    figures: dict[str, float | None] = {
        "tick_lag_p99_seconds": found["tick_lag_p99_seconds"],
        "tick_lag_p50_seconds": found["tick_lag_p50_seconds"],
        "ticks": found["ticks"],
        "ticks_expected": float(agents * _PERIODS),
        "bytes_per_agent": found["bytes_per_agent"],
        "resident_mib": found["resident_mib"],
        "read_p95_ms": percentile(reads, 0.95),
        "read_p50_ms": percentile(reads, 0.5),
        "reads": float(len(reads)),
    }
    bounds = [Bound("API read p95 in ms", figures["read_p95_ms"], _READ_LIMIT_MS, at_least=False)]
    return Report("agents", figures, bounds, {"agents": agents, "organizations": ORGANIZATIONS})


async def _read_for(url: str, key: str, seconds: float) -> list[float]:
    taken: list[float] = []
    until = time.perf_counter() + seconds
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1/", headers=headers, timeout=30) as client:
        while time.perf_counter() < until:
            path = _PATHS[len(taken) % len(_PATHS)]
            began = time.perf_counter()
            (await client.get(f"{path}&organization=bench-{len(taken) % ORGANIZATIONS}")).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(_READ_PAUSE_SECONDS)
    return taken


async def _serve(url: str, agents: int) -> None:
    """Be the worker: make agents and schedules, tick until a line comes in, report."""
    lags: list[float] = []
    # It reads faster than a key's rate allows; what the limits cost is the requests' benchmark.
    settings = Settings(database_url=SecretStr(url), port=0, warm_start=False, rate_limits=False)
    bench = BenchExtension(ticked=lags.append)
    async with Installation.open(settings, extra=[bench]) as installation, _serving(installation) as address:
        key = await installation.keys.issue("bench")
        resident = psutil.Process().memory_info().rss
        first_tick_at = await _make(installation, agents)
        ready = {"url": address, "key": key, "first_tick_at": first_tick_at}
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        grown = psutil.Process().memory_info().rss - resident
    report = {
        "ticks": float(len(lags)),
        "tick_lag_p99_seconds": percentile(lags, 0.99),
        "tick_lag_p50_seconds": percentile(lags, 0.5),
        "bytes_per_agent": round(grown / agents, 1),
        "resident_mib": round((resident + grown) / 2**20, 1),
    }
    sys.stdout.write(orjson.dumps(report).decode() + "\n")


@asynccontextmanager
async def _serving(installation: Installation) -> AsyncGenerator[str]:
    async with installation.run_worker(), Server(installation) as server:
        yield server.url


async def _make(installation: Installation, agents: int) -> float:
    each = agents // ORGANIZATIONS
    # The first ticks come once everything exists, spread over one interval.
    start = datetime.now(UTC) + timedelta(seconds=INTERVAL_SECONDS)
    for index in range(ORGANIZATIONS):
        organization = await installation.organizations.ensure(f"bench-{index}")
        made = await installation.directory.create_many(
            organization.id, [NewAgent(TickingAgent.kind, f"agent-{number}", {}) for number in range(each)]
        )
        first = [start + timedelta(seconds=INTERVAL_SECONDS * (index * each + n) / agents) for n in range(each)]
        await installation.schedules.put_many(
            organization.id,
            [
                NewSchedule(
                    f"tick {agent.name}", TICK,
                    {"anchor_at": moment.timestamp(), "interval_seconds": INTERVAL_SECONDS},
                    interval_seconds=INTERVAL_SECONDS, agent_id=agent.id, first_fire_at=moment,
                )
                for agent, moment in zip(made, first, strict=True)
            ],
        )  # fmt: skip
    return start.timestamp()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise RuntimeError("the worker ended before it reported; its own message stands above")
    return line


if __name__ == "__main__":
    loops.run(_serve(os.environ[URL_VARIABLE], int(sys.argv[1])))
