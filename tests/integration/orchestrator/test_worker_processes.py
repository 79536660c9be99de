"""Worker processes beside ``bailiwick up``: restarted, given up, ended with their parent."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil

from bailiwick.cli.supervising import WorkerProcesses
from tests.support.engine import until

# What a worker promises: it ends when its input does.
ENDS_WITH_INPUT = (sys.executable, "-c", "import sys; sys.stdin.read()")
FAILS_AT_ONCE = (sys.executable, "-c", "import sys; sys.exit(3)")
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
HEARS_NOTHING = (sys.executable, "-c", _DEAF)

PARENT = """
import asyncio
from bailiwick.cli.supervising import WorkerProcesses

async def main():
    async with WorkerProcesses(3, patience_seconds=5, command=%r) as workers:
        while len(workers.process_ids) < 3:
            await asyncio.sleep(0.01)
        print(*workers.process_ids, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def supervised(count: int, command: tuple[str, ...], *, patience_seconds: float = 10.0) -> WorkerProcesses:
    return WorkerProcesses(count, patience_seconds=patience_seconds, command=command, first_pause_seconds=0.01)


async def running(workers: WorkerProcesses, count: int) -> list[int]:
    async def look() -> list[int]:
        return workers.process_ids if len(workers.process_ids) == count else []

    return await until(look, f"{count} workers run")


async def are_gone(process_ids: list[int]) -> bool:
    return not any(psutil.pid_exists(one) and psutil.Process(one).status() != "zombie" for one in process_ids)


async def test_one_that_is_killed_is_started_again() -> None:
    async with supervised(2, ENDS_WITH_INPUT) as workers:
        before = await running(workers, 2)
        os.kill(before[0], signal.SIGKILL)

        async def is_replaced() -> bool:
            return len(workers.process_ids) == 2 and before[0] not in workers.process_ids

        await until(is_replaced, "another takes its place")
        assert before[1] in workers.process_ids
        after = workers.process_ids
    assert await are_gone(after)


async def test_one_that_never_begins_its_work_is_given_up_and_said_to_be() -> None:
    async with supervised(2, FAILS_AT_ONCE) as workers:

        async def are_given_up() -> bool:
            return workers.given_up == {1, 2}

        await until(are_given_up, "both are given up", seconds=30)
        assert workers.process_ids == []


async def test_one_that_does_not_end_when_asked_is_ended() -> None:
    # A tenth of a second, with the five that are always given beyond the patience.
    async with supervised(1, HEARS_NOTHING, patience_seconds=-4.9) as workers:
        before = await running(workers, 1)
    assert await are_gone(before)


async def test_none_is_left_behind_by_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT % (ENDS_WITH_INPUT,)))
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:  # noqa: ASYNC220
        assert parent.stdout is not None
        children = [int(one) for one in (await asyncio.to_thread(parent.stdout.readline)).split()]
        assert len(children) == 3
        parent.kill()
    await until(lambda: are_gone(children), "its workers end, too")
