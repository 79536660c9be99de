"""How a task reaches its agent: the task kind made from an agent class."""

from typing import Any

from pydantic import BaseModel

from bailiwick.agents.directory import AgentDirectory
from bailiwick.agents.model import Agent
from bailiwick.tasks import DiscardTask, Run, TaskKind


def agent_task_kind(agent: Agent[Any], directory: AgentDirectory) -> TaskKind:
    """Return the task kind under which a kind of agent is given work.

    The task's ``agent_id`` says which agent does it; each completed task is
    charged with that agent's price.
    """

    async def handle(run: Run, assignment: BaseModel) -> object:
        if run.task.agent_id is None:
            raise DiscardTask(f"a task of kind {agent.task_kind()} names no agent; choose one and enqueue it again")
        record = await directory.get(run.task.organization_id, run.task.agent_id)
        if record.kind != agent.kind:
            # What one kind of agent may do was not given to, nor earned by, the code of another.
            raise DiscardTask(f"{record.name} is an agent of the kind {record.kind}; name one of the kind {agent.kind}")
        result = await agent.work(run, record, assignment)
        run.charge(record.price)
        return result

    return TaskKind(agent.task_kind(), handle, agent.assignment, agent.retry, agent.timeout_seconds)
