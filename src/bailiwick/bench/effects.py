"""``bailiwick bench effects``: what ``run.act`` costs over a plain step, with a tool that itself costs nothing."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, SecretStr

from bailiwick import __version__
from bailiwick.audit import Actor
from bailiwick.bench.report import Bound, Report, ratio
from bailiwick.bench.rivals.measuring import percentile
from bailiwick.bench.rivals.scratch import scratch_database
from bailiwick.bench.server import bench_server
from bailiwick.bench.steps import TickingAgent
from bailiwick.effects import Call, Observation, Tool, Verdict
from bailiwick.extensions import Registrar
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.errors import InternalError
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask, RetryPolicy, Run, TaskKind
from bailiwick.tasks.acting import Effect

KIND = "bench.act"
_ROUNDS = 200
_WARM_UP = 20
_AT_ONCE = 16
# An effect is decided, bound, audited and told, each durable before the next; a step is one durable write.
_LIMIT = 15.0
_LIMIT_READ = 12.0


class Number(BaseModel):
    """What the tools are given."""

    number: int


class NothingTool(Tool[Number]):
    """Changes nothing, so that all of the time is ours."""

    name = "bench.write"
    version = "1"
    effect_class = "write"
    arguments = Number
    recovery = "idempotent"
    summary = "Do nothing, as a change"

    def target(self, arguments: Number) -> str:
        """Return a target of its own for every call."""
        return f"bench:{arguments.number}"

    async def observe(self, call: Call[Number]) -> Observation:
        """See nothing."""
        del call
        return Observation(None)

    async def apply(self, call: Call[Number]) -> dict[str, int]:
        """Do nothing."""
        return {"number": call.arguments.number}

    async def verify(self, call: Call[Number], result: Any) -> Verdict:
        """Agree."""
        del call, result
        return Verdict("verified", {})

    def undo_of(self, arguments: Number) -> str | None:
        """Say that it can be undone, as there is nothing to undo."""
        del arguments
        return "nothing is left behind"


class NothingReadTool(NothingTool):
    """Reads nothing."""

    name = "bench.read"
    effect_class: ClassVar[Any] = "read"
    summary = "Do nothing, as a read"


class Rounds(BaseModel):
    """How many rounds a run measures; of several at once one measures and the others are company."""

    rounds: int


@dataclass(slots=True)
class _Taken:
    """Milliseconds that were taken, of every call of each sort."""

    step: list[float] = field(default_factory=list[float])
    write: list[float] = field(default_factory=list[float])
    read: list[float] = field(default_factory=list[float])


class EffectsBench:
    """Registers the tools and the kind of task that uses them."""

    name = "bench-effects"
    version = __version__
    migrations: Path | None = None

    def __init__(self) -> None:
        self.taken = _Taken()

    def register(self, registrar: Registrar) -> None:
        """Register everything."""
        registrar.tool(NothingTool())
        registrar.tool(NothingReadTool())
        registrar.agent(TickingAgent)
        registrar.task_kind(TaskKind(KIND, self._rounds, Rounds, RetryPolicy(max_attempts=1), 600.0))

    async def _rounds(self, run: Run, payload: Rounds) -> None:
        for number in range(payload.rounds):
            # In turn, so that whatever else the machine does falls on all alike.
            began = time.perf_counter()
            await run.step("plain", _nothing, number)
            stepped = time.perf_counter()
            await _act(run, NothingTool.name, number)
            written = time.perf_counter()
            await _act(run, NothingReadTool.name, number)
            read = time.perf_counter()
            self.taken.step.append((stepped - began) * 1000)
            self.taken.write.append((written - stepped) * 1000)
            self.taken.read.append((read - written) * 1000)


async def measure_effects(*, say: Callable[[str], None], rounds: int = _ROUNDS) -> Report:
    """Measure steps, changes and reads in turn in one run, alone and among others; medians and their ratios."""
    bench = EffectsBench()
    figures: dict[str, float | None] = {}
    async with bench_server() as server, scratch_database(server.url, "effects") as url:
        settings = Settings(database_url=SecretStr(url), warm_start=False)
        async with Installation.open(settings, extra=[bench]) as installation:
            organization = (await installation.organizations.ensure("bench")).id
            agent = await _employed(installation, organization)
            async with installation.run_worker():
                await _run(installation, organization, agent, tasks=1, rounds=_WARM_UP)
                for name, tasks in (("alone", 1), (f"among_{_AT_ONCE}", _AT_ONCE)):
                    say(f"{rounds} rounds of a step, a change and a read: {name.replace('_', ' ')}")
                    bench.taken = _Taken()
                    await _run(installation, organization, agent, tasks=tasks, rounds=rounds)
                    figures |= _figures(name, bench.taken)
    bounds = [
        Bound("change over step, alone, p50", figures["alone_change_to_step"], _LIMIT, at_least=False),
        Bound("read over step, alone, p50", figures["alone_read_to_step"], _LIMIT_READ, at_least=False),
    ]
    return Report("effects", figures, bounds, {"rounds": rounds, "at_once": _AT_ONCE})


async def _employed(installation: Installation, organization_id: str) -> str:
    agent = await installation.directory.create(organization_id, TickingAgent.kind, "bench")
    person = Actor("user", new_id(), "the benchmark")
    for effect_class in ("read", "write"):
        await installation.autonomy.set_level(
            organization_id, agent.id, effect_class, 4, actor=person, reason="to be measured"
        )
    return agent.id


async def _run(installation: Installation, organization_id: str, agent_id: str, *, tasks: int, rounds: int) -> None:
    wanted = [NewTask(KIND, Rounds(rounds=max(1, rounds // tasks)), agent_id=agent_id) for _ in range(tasks)]
    added = await installation.queue.enqueue_many(organization_id, wanted)
    for one in added:
        while (record := await installation.tasks.get(organization_id, one.task_id)).finished_at is None:  # noqa: ASYNC110 - a row
            await asyncio.sleep(0.05)
        if record.state != "completed":
            raise InternalError(f"the benchmark's run was {record.state}: {record.reason}")


def _figures(name: str, taken: _Taken) -> dict[str, float | None]:
    step, write, read = (percentile(one, 0.5) for one in (taken.step, taken.write, taken.read))
    return {
        f"{name}_step_p50_ms": step,
        f"{name}_change_p50_ms": write,
        f"{name}_read_p50_ms": read,
        f"{name}_change_p95_ms": percentile(taken.write, 0.95),
        f"{name}_change_to_step": ratio(write, step),
        f"{name}_read_to_step": ratio(read, step),
    }


async def _act(run: Run, tool: str, number: int) -> None:
    acted = await run.act(Effect(tool, Number(number=number), "to be measured"))
    if not acted.is_done:
        raise InternalError(f"the benchmark's effect is {acted.state}: {acted.reason}")


async def _nothing(number: int) -> dict[str, int]:
    return {"number": number}
