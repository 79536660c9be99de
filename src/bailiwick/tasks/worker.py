"""A worker: leases tasks, runs their handlers, and gives them back when it stops."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psycopg
import structlog

from bailiwick.kernel.concerns import Guard
from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.loops import end
from bailiwick.storage.connections import is_passing
from bailiwick.storage.waking import DUE, TAKEN, TASKS, Wakeups
from bailiwick.tasks.attempt import Attempts, Observer
from bailiwick.tasks.errors import LeaseLostError, Suspended
from bailiwick.tasks.journal import Journal, JournalEntry, Position
from bailiwick.tasks.lease import Lease
from bailiwick.tasks.model import Task
from bailiwick.tasks.registry import KindRegistry
from bailiwick.tasks.run import Run
from bailiwick.tasks.services import Services
from bailiwick.tasks.slots import Slots
from bailiwick.telemetry.metrics import TASKS_CLAIMED, TASKS_EXECUTING, attempts_of, seconds_of

log = structlog.get_logger(__name__)

WORKER_NOT_ACTIVE = "BW001"

# How long a worker that leaves waits for its last writes before it leaves them to others.
_LAST_WRITES_SECONDS = 5.0
# How many runs begin before others get their turn.
_SLICE = 16
# How many calls one look may take to walk past what is closed to this worker.
_MAX_WALKS = 32


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How much a worker takes on, and how soon others may think it dead."""

    concurrency: int = 100
    lease_seconds: float = 10.0
    poll_seconds: float = 2.0
    drain_seconds: float = 20.0
    code_version: str = "dev"
    name: str = ""


class Worker:
    """Claims and executes tasks until it is stopped; disposable at any moment."""

    def __init__(
        self,
        url: str,
        kinds: KindRegistry,
        services: Services,
        wakeups: Wakeups,
        settings: WorkerSettings | None = None,
    ) -> None:
        self.settings = settings or WorkerSettings()
        self._kinds = kinds
        self._services = services
        self._wakeups = wakeups
        self._journal = Journal(url)
        self._attempts = Attempts(self._journal, kinds, wakeups)
        self._lease = Lease(url, self.settings.lease_seconds)
        self._executing: dict[str, tuple[int, asyncio.Task[None]]] = {}
        # Runs that lost their task and have not ended, although this worker claimed it again.
        self._superseded: set[asyncio.Task[None]] = set()
        self._slots = Slots(self.settings.concurrency)
        self._wake = asyncio.Event()
        self._hungry = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._position: Position = (new_id(), "")
        # What the last heartbeat found executing here but not held, and held but not executing.
        self._missing: set[tuple[str, int]] = set()
        self._strays: set[str] = set()
        self._doubtful = asyncio.Event()
        self._registering = asyncio.Lock()
        self._loops: list[asyncio.Task[None]] = []

    @property
    def id(self) -> str:
        """This worker's present identity; a lost lease gives it a new one."""
        return self._lease.worker_id

    @property
    def observers(self) -> list[Observer]:
        """Who is told after every attempt; add to it before the start."""
        return self._attempts.observers

    def guard_by(self, guard: Guard) -> None:
        """Let this be asked for the consent of those whom tasks concern; without it such tasks are discarded."""
        self._attempts.guard = guard

    @property
    def executing(self) -> int:
        """How many tasks run here now."""
        return len(self._executing) + len(self._superseded)

    async def start(self) -> None:
        """Register and begin to claim.

        Raises:
            DatabaseUnavailableError: it could not register.
        """
        await self._journal.open()
        await self._register()
        TASKS_EXECUTING.set_function(lambda: self.executing)
        self._wakeups.listen(TASKS, lambda _: self.wake())
        self._wakeups.listen(TAKEN, self._drop_if_taken)
        self._loops = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._keep_lease())]
        self.wake()

    async def stop(self) -> None:
        """Drain: claim no more, let runs end for a while, give the rest back, leave.

        Without a database, or with runs that do not let themselves be stopped, it
        leaves all the same; the lease lapses and others go on.
        """
        self._stopping = True
        await end(self._loops[0])
        await self._give_back_unclaimed()
        try:
            async with asyncio.timeout(self.settings.drain_seconds):
                await self._idle.wait()
        except TimeoutError:
            log.info("giving back what is not done", tasks=len(self._executing))
        self._cancel_all()
        try:
            async with asyncio.timeout(_LAST_WRITES_SECONDS):
                await self._idle.wait()
                # Those that were stopped before their first turn gave nothing back themselves.
                await self._give_back_unclaimed()
                await self._journal.close()
        except TimeoutError:
            log.warning("leaving unwritten what others will do again", tasks=len(self._executing))
            await self._journal.abort()
        await end(self._loops[1])
        await self._lease.end()
        self._wakeups.announce(TASKS)

    async def crash(self) -> None:
        """Stop as a killed process would: give nothing back, write nothing. For tests."""
        for loop in self._loops:
            loop.cancel()
        self._cancel_all()
        await self._journal.abort()
        await end(*self._loops)
        self._loops.clear()
        await self._lease.close()

    @property
    def code_version(self) -> str:
        """The version that a task remembers as the one that started it."""
        return self.settings.code_version

    def reserve(self, organization_id: str) -> bool:
        """Keep a slot free for a task of that organization, if there is one."""
        if self._stopping or not self._slots.has_room(organization_id):
            return False
        self._slots.take(organization_id)
        return True

    def release(self, organization_id: str) -> None:
        """Give a slot back."""
        self._slots.leave(organization_id)
        if self._hungry:
            self._wake.set()

    def begin(self, task: Task) -> None:
        """Execute a task in a reserved slot; it is leased to this worker already."""
        TASKS_CLAIMED.inc()
        self._start(task, None)

    def wake(self) -> None:
        """Look for tasks now instead of at the next poll."""
        self._wake.set()

    async def _register(self) -> None:
        name = self.settings.name or f"{socket.gethostname()}:{os.getpid()}"
        await self._lease.begin(name, self.settings.code_version, self.settings.concurrency)

    async def _claim_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.settings.poll_seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            worker_id = self.id
            try:
                await self._claim_what_fits(worker_id)
            except (psycopg.Error, DatabaseUnavailableError) as error:
                # It may have taken effect; the next heartbeats look for what we do not know of.
                self._doubtful.set()
                if isinstance(error, psycopg.Error) and error.sqlstate == WORKER_NOT_ACTIVE:
                    await self._start_over(worker_id)
                elif is_passing(error):
                    await asyncio.sleep(0.2)
                    self.wake()
                else:
                    log.exception("claiming failed")
                    await asyncio.sleep(1)

    async def _claim_what_fits(self, worker_id: str) -> None:
        walks = 0
        while (free := self._slots.free) > 0:
            rooms = self._slots.rooms()
            limit = min(free, self._slots.share, 500)
            tasks, stopped_at = await self._journal.claim(
                worker_id,
                limit,
                kinds=self._kinds.names(),
                after=self._position,
                rooms=rooms,
                version=self.settings.code_version,
            )
            capped = self._slots.capped(tasks, rooms)
            # Nothing, or all there was: only a wake-up can bring more. Otherwise a
            # free slot can, and the runs that begin now may end at any moment.
            self._hungry = len(tasks) == limit or bool(capped)
            if tasks:
                # Before they are put in order: the last one is where the walk ended.
                self._position = (tasks[-1].organization_id, tasks[-1].lane)
                await self._begin(worker_id, tasks)
            if stopped_at is not None:
                self._position = stopped_at
                walks += 1
            has_room_again = any(self._slots.has_room(organization) for organization in capped)
            if len(tasks) < limit and not has_room_again and (stopped_at is None or walks >= _MAX_WALKS):
                return
        self._hungry = True

    async def _begin(self, worker_id: str, tasks: list[Task]) -> None:
        resumed = [task.id for task in tasks if task.is_resumed]
        journals = await self._journal.load(worker_id, resumed) if resumed else {}
        TASKS_CLAIMED.inc(len(tasks))
        tasks.sort(key=lambda task: (task.priority, task.deadline_at is None, task.deadline_at or task.inserted_at))
        # While the claim was under way, hand-overs may have taken the room it was made for.
        fitting, surplus = self._slots.take_what_fits(tasks)
        if any(task.lane for task in tasks):
            # These may have used up a rate; have its refill watched.
            self._wakeups.announce(DUE)
        for position, task in enumerate(fitting):
            if position % _SLICE == _SLICE - 1:
                # Let those begin, and let the loop look at its sockets.
                await asyncio.sleep(0)
            self._start(task, journals.get(task.id))
        if surplus:
            self._hungry = True
            await self._journal.give_back(worker_id, [task.id for task in surplus])

    def _start(self, task: Task, recorded: dict[int, JournalEntry] | None) -> None:
        if task.id in self._executing:
            self._superseded.add(self._executing[task.id][1])
        execution = asyncio.create_task(self._execute(task, recorded))
        # A callback, because one cancelled before its first turn never comes to its own end.
        execution.add_done_callback(partial(self._end, task))
        self._executing[task.id] = (task.fence, execution)
        self._idle.clear()

    async def _execute(self, task: Task, recorded: dict[int, JournalEntry] | None) -> None:
        run = Run(task, self._journal, self._services, recorded)
        started = time.perf_counter()
        outcome = "completed"
        try:
            outcome = await self._attempts.make(run)
        except Suspended:
            outcome = "waiting"
            self._attempts.tell_released(task)
            self.wake()
        except LeaseLostError:
            outcome = "lost"
        except asyncio.CancelledError:
            outcome = "returned"
            if self._stopping:
                await self._attempts.give_back(run)
        except Exception:
            # The engine's own writing failed. The next heartbeat finds that nobody
            # executes the task and gives it back, so nothing is lost, but it must be seen.
            outcome = "error"
            log.exception("run broke off", task_id=task.id, kind=task.kind)
        finally:
            attempts_of(task.kind, outcome).inc()
            seconds_of(task.kind).observe(time.perf_counter() - started)

    def _end(self, task: Task, execution: asyncio.Task[None]) -> None:
        if self._executing.get(task.id, (0,))[0] == task.fence:
            del self._executing[task.id]
        else:
            self._superseded.discard(execution)
        if not self.executing:
            self._idle.set()
        self.release(task.organization_id)

    async def _keep_lease(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.lease_seconds / 3):
                    await self._doubtful.wait()
                    # Not at once: what is under way now gets the time to be told.
                    await asyncio.sleep(self.settings.lease_seconds / 20)
            self._doubtful.clear()
            known = {(task_id, fence) for task_id, (fence, _) in self._executing.items()}
            worker_id = self.id
            try:
                held = await self._lease.extend()
                if held is None:
                    await self._start_over(worker_id)
                else:
                    await self._compare(worker_id, known, held)
            except (psycopg.Error, BailiwickError, TimeoutError) as error:
                log.warning("heartbeat failed", error=str(error))
                self._doubtful.set()

    async def _compare(self, worker_id: str, known: set[tuple[str, int]], held: set[str]) -> None:
        # Both are believed when seen twice: the first time the answer to our own
        # claim or end of the task may be on its way.
        missing = {(task_id, fence) for task_id, fence in known if task_id not in held}
        for task_id, fence in missing & self._missing:
            # Taken from us, and the word of it got lost.
            if self._executing.get(task_id, (0,))[0] == fence:
                self._drop_if_taken(task_id)
        strays = held - self._executing.keys()
        lost = strays & self._strays
        if lost and await self._journal.give_back(worker_id, list(lost)):
            log.warning("gave back tasks whose claim was never answered", tasks=len(lost))
            self._wakeups.announce(TASKS)
        self._missing, self._strays = missing, strays - lost
        if self._missing or self._strays:
            self._doubtful.set()

    async def _start_over(self, lost_id: str) -> None:
        # Others believed us dead and took our tasks: every write would be refused.
        async with self._registering:
            if self._stopping or lost_id != self.id:
                return
            log.warning("lease lost; starting over", worker_id=lost_id, dropped=len(self._executing))
            self._cancel_all()
            try:
                await self._register()
            except (psycopg.Error, BailiwickError) as error:
                log.warning("registering failed", error=str(error))
        self.wake()

    def _cancel_all(self) -> None:
        for execution in [execution for _, execution in self._executing.values()] + list(self._superseded):
            execution.cancel()

    async def _give_back_unclaimed(self) -> None:
        # Draining waits on the server for a claim under way, so that all of it is seen.
        await self._lease.drain()
        with suppress(psycopg.Error, BailiwickError, TimeoutError):
            held = await self._lease.extend() or set[str]()
            await self._journal.give_back(self.id, list(held - self._executing.keys()))

    def _drop_if_taken(self, task_id: str) -> None:
        held = self._executing.get(task_id)
        if held is not None:
            held[1].cancel()
