"""The present code of a process, to be run over recordings."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from bailiwick.agents import Agent
from bailiwick.effects import ToolRegistry
from bailiwick.events import EventRegistry
from bailiwick.kernel.errors import UnknownKindError
from bailiwick.replay.acting import RecordedActing
from bailiwick.replay.recording import RecordedRun
from bailiwick.replay.replaying import Replayed, Schemas, replay
from bailiwick.tasks import KindRegistry, Run
from bailiwick.tasks.acting import Acting
from bailiwick.tasks.model import Handler


class PresentCode:
    """Knows the handlers and schemas that this version has; touches neither database nor tools."""

    def __init__(
        self,
        *,
        kinds: KindRegistry,
        types: EventRegistry,
        agents: Mapping[str, Agent[Any]],
        tools: ToolRegistry,
        acting: Acting,
    ) -> None:
        self._kinds = kinds
        self._agents = agents
        self._acting = RecordedActing(acting, tools)
        self._schemas: Schemas = {
            **{("task", name): kinds.get(name).payload for name in kinds.names()},
            **{("event", name): types.get(name).payload for name in types.names()},
        }

    async def replay(self, recording: RecordedRun) -> Replayed:
        """Run the present code over a recording; what this process does not know cannot be determined."""
        try:
            kind = self._kinds.get(recording.task.kind)
        except UnknownKindError as error:
            return Replayed("undetermined", 0, f"cannot determine: the code of {recording.task.kind} missing; {error}")
        handler = kind.handler
        agent = self._agents.get(kind.name)
        if agent is not None and recording.agent is None:
            return Replayed("undetermined", 0, "cannot determine: the record of the run's agent missing")
        if agent is not None:
            handler = _work_of(agent, recording)
        return await replay(recording, handler, kind.payload, acting=self._acting, schemas=self._schemas)


def _work_of(agent: Agent[Any], recording: RecordedRun) -> Handler:
    async def handle(run: Run, assignment: BaseModel) -> object:
        # The agent as it was then: its row may have changed, and is in no database here.
        assert recording.agent is not None
        return await agent.work(run, recording.agent, assignment)

    return handle
