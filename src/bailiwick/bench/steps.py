"""The task kinds that benchmarks run: a counted number of journaled steps, and the tick of an agent."""

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from bailiwick import __version__
from bailiwick.agents import Agent, AgentRecord
from bailiwick.extensions import Registrar
from bailiwick.tasks import RetryPolicy, Run, TaskKind

STEPS = "bench.steps"
TICK = "bench.tick"


class StepsPayload(BaseModel):
    """Which task of the benchmark this is, and how many steps it takes."""

    number: int
    steps: int = 1


class TickPayload(BaseModel):
    """When an agent's ticks are due: ``anchor_at + n * interval_seconds``, in Unix seconds."""

    anchor_at: float
    interval_seconds: float


class TickingAgent(Agent[TickPayload]):
    """An agent that exists to be counted; it has no work besides its tick."""

    kind = "bench-agent"
    assignment = TickPayload

    async def work(self, run: Run, agent: AgentRecord, assignment: TickPayload) -> object:
        """Return the agent's name, read from its row."""
        del run, assignment
        return {"name": agent.name}


class BenchExtension:
    """Registers the benchmarks' kinds; ``started`` and ``ticked`` hear what happens when."""

    name = "bench"
    version = __version__
    migrations: Path | None = None

    def __init__(
        self,
        *,
        started: Callable[[int], None] = lambda number: None,
        ticked: Callable[[float], None] = lambda lag_seconds: None,
    ) -> None:
        self._started = started
        self._ticked = ticked

    def register(self, registrar: Registrar) -> None:
        """Register two task kinds and one kind of agent."""
        never_again = RetryPolicy(max_attempts=1)
        registrar.task_kind(TaskKind(STEPS, self._steps, StepsPayload, never_again))
        registrar.task_kind(TaskKind(TICK, self._tick, TickPayload, never_again))
        registrar.agent(TickingAgent)

    async def _steps(self, run: Run, payload: StepsPayload) -> object:
        self._started(payload.number)
        value = 0
        for _ in range(payload.steps):
            value = await run.step("add", _add_one, value)
        return {"value": value}

    async def _tick(self, run: Run, payload: TickPayload) -> object:
        since = (time.time() - payload.anchor_at) % payload.interval_seconds
        # A tick a hair early by the database's clock is on time, not a period late.
        lag = since if since < payload.interval_seconds - 0.1 else 0.0
        self._ticked(lag)
        return await run.step("look", _look, run.task.agent_id)


async def _add_one(value: int) -> int:
    return value + 1


async def _look(agent_id: str | None) -> dict[str, str | None]:
    return {"agent_id": agent_id}
