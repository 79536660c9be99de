"""Processes of the engine that a test may kill, stop and watch: ``python -m tests.support.processes``."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bailiwick.events import NewEvent
from bailiwick.storage.waking import Wakeups
from bailiwick.tasks import KindRegistry, NewTask, Upkeep, Worker, WorkerSettings
from bailiwick.tasks.subscriptions import Subscription
from tests.support.engine import AnyPayload, Engine, kind_of
from tests.support.history import Recorder
from tests.support.recorded_work import RecordedWork

_ROOT = Path(__file__).parents[2]


@contextmanager
def process(role: str, url: str, folder: Path, name: str, **options: Any) -> Generator[subprocess.Popen[str]]:
    """Run a role in a process of its own; it is killed at the end if it still lives.

    The block begins when the process has said "ready".
    """
    arguments = [sys.executable, "-m", "tests.support.processes", role, url, str(folder), name, json.dumps(options)]
    log = (folder / f"{name}.log").open("w")
    with (
        log,
        subprocess.Popen(
            arguments, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as started,
    ):
        try:
            assert started.stdout
            assert started.stdout.readline() == "ready\n", (folder / f"{name}.log").read_text()
            yield started
        finally:
            started.kill()


async def work(url: str, recorder: Recorder, *, lease_seconds: float = 2.0, concurrency: int = 10) -> None:
    """Be a worker until SIGTERM."""
    work = RecordedWork(recorder)
    kinds = KindRegistry()
    kinds.register(kind_of("work", work.handle))
    kinds.register(kind_of("poison", work.kill_own_process))
    async with Engine(url) as engine:
        settings = WorkerSettings(
            concurrency=concurrency, lease_seconds=lease_seconds, poll_seconds=0.5, drain_seconds=0.2, name=recorder.who
        )
        worker = Worker(engine.url, kinds, engine.services, engine.wakeups, settings)
        worker.observers.append(work.observe)
        await worker.start()
        upkeep = Upkeep(engine.url, engine.wakeups, worker_id=lambda: worker.id, poll_seconds=0.5)
        await upkeep.start()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        _say_ready()
        await stopped.wait()
        await worker.stop()
        await upkeep.stop()


async def enqueue(
    url: str,
    recorder: Recorder,
    *,
    organization: str,
    count: int,
    steps: int = 3,
    keyed: bool = False,
    at_once: int = 8,
) -> None:
    """Add tasks, several at once, and note each that was acknowledged."""
    async with Engine(url) as engine:
        engine.organization_id = organization
        engine.handles("work", RecordedWork(recorder).handle)
        slots = asyncio.Semaphore(at_once)
        _say_ready()
        sys.stdin.readline()

        async def add(number: int) -> None:
            async with slots:
                key = f"order {number}" if keyed else None
                added = await engine.queue.enqueue(organization, NewTask("work", {"steps": steps}, key=key))
                recorder.note("enqueued", added.task_id, value=number)

        await asyncio.gather(*[add(number) for number in range(count)])


async def publish(url: str, recorder: Recorder, *, organization: str, count: int) -> None:
    """Deliver events under the same keys as others do, and note the id each delivery was answered with."""
    async with Engine(url) as engine:
        engine.knows("order.placed")
        engine.handles("work", RecordedWork(recorder).handle)
        engine.subscriptions.add(Subscription("order.placed", "work", _follow))
        _say_ready()
        sys.stdin.readline()

        async def deliver(number: int) -> None:
            event = NewEvent("order.placed", {"number": number}, dedupe_key=f"delivery {number}")
            [published] = await engine.events.publish(organization, [event])
            recorder.note("published", published.event_id, value=number)

        await asyncio.gather(*[deliver(number) for number in range(count)])


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _follow(payload: AnyPayload) -> NewTask:
    return NewTask("work", {"steps": 1, "number": payload.number})


async def _deaf(self: Wakeups) -> None:
    del self
    await asyncio.Event().wait()


def main() -> None:
    """Play the role named on the command line."""
    role, url, folder, name, options = sys.argv[1:]
    wanted = json.loads(options)
    if wanted.pop("is_deaf", False):
        # Notifications get lost on their way to this process.
        Wakeups._receive = _deaf
    recorder = Recorder(Path(folder), name)
    asyncio.run({"work": work, "enqueue": enqueue, "publish": publish}[role](url, recorder, **wanted))


if __name__ == "__main__":
    main()
