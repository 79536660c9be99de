"""``bailiwick bench logins``: how many people can log in, beside bare verification of their passwords."""

import asyncio
import base64
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr

from bailiwick.audit import SYSTEM
from bailiwick.bench.report import Report
from bailiwick.bench.rivals.measuring import percentile
from bailiwick.bench.rivals.scratch import scratch_database
from bailiwick.bench.server import bench_server
from bailiwick.identity.login.password_hashing import LANES, PASSES
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.loading import loaded

# Of users who live for seconds; made anew, so that no password stands in the source.
_PASSWORD = secrets.token_urlsafe(24)
_PEOPLE = 2

_Once = Callable[[int], Awaitable[object]]


async def measure_logins(*, say: Callable[[str], None], seconds: float = 12.0) -> Report:
    """Measure whole logins and bare argon2id verifications, one and two at once, for about ``seconds`` in all.

    A whole login is what the API does for one: it counts the attempt, verifies the
    password, and begins a session, with its entries in the audit log. The bare
    verification calls the library with the same parameters, in as many threads.
    """
    async with bench_server() as server, scratch_database(server.url, "logins") as url:
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        settings = Settings(database_url=SecretStr(url), master_key=SecretStr(key), port=0)
        async with Installation.open(settings, progress=say) as installation:
            log_in = await _logins(installation)
            verify = await _bare(settings.password_memory_mib)
            taken: dict[str, list[float]] = {}
            # Turn about, so that a busy moment of the machine does not fall on one of them alone.
            for crowd in (1, _PEOPLE):
                for name, once in ((f"logins_{crowd}", log_in), (f"bare_{crowd}", verify)):
                    say(f"{name.replace('_', ', ')} at once, for {seconds / 4:g} s")
                    taken[name] = await _for(seconds / 4, crowd, once)
    return _report(taken, seconds / 4, settings.password_memory_mib)


def _report(taken: dict[str, list[float]], seconds: float, memory_mib: int) -> Report:
    figures: dict[str, float | None] = {"memory_mib": float(memory_mib)}
    rates: dict[str, float] = {}
    for name, spans in taken.items():
        # Each of the crowd goes on without a pause, so its rate is the inverse of its mean.
        rates[name] = int(name.rpartition("_")[2]) * len(spans) / sum(spans)
        figures[f"{name}_per_second"] = rates[name]
        figures[f"{name}_p50_ms"] = percentile([span * 1000 for span in spans], 0.5)
    for crowd in (1, _PEOPLE):
        figures[f"logins_{crowd}_to_bare"] = rates[f"logins_{crowd}"] / rates[f"bare_{crowd}"]
    details = {"argon2id": {"memory_mib": memory_mib, "passes": PASSES, "lanes": LANES}, "seconds_each": seconds}
    return Report("logins", figures, (), details)


async def _logins(installation: Installation) -> _Once:
    people = [f"person-{number}@example.org" for number in range(_PEOPLE)]
    for email in people:
        await installation.passwords.create_user(email, "Somebody", _PASSWORD, actor=SYSTEM)

    async def once(number: int) -> object:
        user = await installation.passwords.authenticate(people[number], _PASSWORD, address=None)
        return await installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)

    # The first login loads the libraries and makes the signing key.
    await once(0)
    return once


async def _bare(memory_mib: int) -> _Once:
    argon2: Any = await loaded("argon2")
    hasher = argon2.PasswordHasher(time_cost=PASSES, memory_cost=memory_mib * 1024, parallelism=LANES)
    stored = hasher.hash(_PASSWORD)

    async def once(number: int) -> object:
        del number
        return await asyncio.to_thread(hasher.verify, stored, _PASSWORD)

    return once


async def _for(seconds: float, crowd: int, once: _Once) -> list[float]:
    until = time.perf_counter() + seconds
    spans: list[float] = []

    async def person(number: int) -> None:
        while (began := time.perf_counter()) < until:
            await once(number)
            spans.append(time.perf_counter() - began)

    await asyncio.gather(*(person(number) for number in range(crowd)))
    return spans
