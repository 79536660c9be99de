"""Handlers that note everything they do."""

import asyncio
import os
import signal
from typing import Any

from bailiwick.tasks import Run, Task
from tests.support.engine import AnyPayload
from tests.support.history import Recorder

BEFORE_THE_END = -1


class RecordedWork:
    """The handlers of one worker, noting under its name."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        # What a step waits for: the number of the step and the gate it stands at.
        self.gates: dict[int, asyncio.Event] = {}
        self.entered: dict[int, asyncio.Event] = {}

    async def handle(self, run: Run, payload: AnyPayload) -> list[int]:
        """Do ``payload.steps`` steps of ``payload.seconds`` each."""
        task, fence = run.task.id, run.task.fence
        self.recorder.note("began", task, fence=fence)
        results = []
        for number in range(payload.steps):
            name = f"step {number}"
            results.append(await run.step(name, self._step, run, number, payload.model_dump().get("seconds", 0.0)))
            self.recorder.note("step_acknowledged", task, fence=fence, step=name, value=results[-1])
        await self._stand_at(BEFORE_THE_END)
        self.recorder.note("ending", task, fence=fence)
        return results

    async def kill_own_process(self, run: Run, payload: AnyPayload) -> None:
        """End the worker's process as an out-of-memory kill would."""
        del payload
        self.recorder.note("began", run.task.id, fence=run.task.fence)
        os.kill(os.getpid(), signal.SIGKILL)

    def observe(self, task: Task, error: Exception | None) -> None:
        """Note the acknowledged end of a task; the observer of a worker."""
        if error is None:
            self.recorder.note("ended", task.id, fence=task.fence)

    async def _step(self, run: Run, number: int, seconds: float) -> int:
        fields: dict[str, Any] = {"fence": run.task.fence, "step": f"step {number}"}
        self.recorder.note("step_began", run.task.id, **fields)
        await self._stand_at(number)
        if seconds:
            await asyncio.sleep(seconds)
        # Differs from run to run, so that a second run of the step would show.
        value = run.task.fence * 1000 + number
        self.recorder.note("step_returned", run.task.id, value=value, **fields)
        return value

    async def _stand_at(self, number: int) -> None:
        if number in self.gates:
            self.entered[number].set()
            await self.gates[number].wait()

    def gate(self, number: int) -> None:
        """Let the step of that number, or the run before its end, stand still until its gate opens."""
        self.gates[number] = asyncio.Event()
        self.entered[number] = asyncio.Event()
