"""What an agent is: a row with a kind, and a class that knows the work of that kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from bailiwick.storage import Database
from bailiwick.tasks import RetryPolicy, Run

Assignment = TypeVar("Assignment", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """One agent of one organization. ``price`` is per task, ``capacity`` in tasks at once."""

    id: str
    organization_id: str
    kind: str
    name: str
    configuration: dict[str, Any]
    capabilities: tuple[str, ...]
    price: float
    capacity: int
    is_enabled: bool
    created_at: datetime


class Agent(ABC, Generic[Assignment]):
    """The code of one kind of agent.

    A class is made once per process and serves every agent row of its kind, so
    it keeps no state between calls: what an agent knows is in the database.
    """

    kind: ClassVar[str]
    # Raise it with every change of what agents of this kind do: the autonomy they earned begins anew.
    version: ClassVar[str] = "1"
    assignment: ClassVar[type[BaseModel]]
    retry: ClassVar[RetryPolicy] = RetryPolicy(max_attempts=3)
    timeout_seconds: ClassVar[float] = 120.0
    # Steps that only compute from what they are given: a rehearsal of this version runs them anew.
    pure_steps: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def task_kind(cls) -> str:
        """The task kind under which this agent is given work."""
        return f"{cls.kind}.work"

    @classmethod
    def behaviour(cls, configuration: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what decides how an agent behaves, as plain data; when it changes, earned autonomy begins anew.

        The version of the code and the whole configuration, ids of models and
        prompts included. Leave out settings that change nothing; add what else
        the work depends on.
        """
        return {"code": cls.version, "configuration": dict(configuration)}

    @abstractmethod
    async def work(self, run: Run, agent: AgentRecord, assignment: Assignment) -> object:
        """Do one piece of work and return a JSON-able result.

        Raises:
            CannotDetermineError: an input it needs is missing, which the message names.
        """
