"""The database beside its model, and what must hold after every call of either."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

from bailiwick.kernel.ids import new_id
from tests.support.engine_model import EngineModel, ModelTask

_TABLES = (
    "tasks", "finished_tasks", "steps", "task_keys", "task_totals", "limits", "workers", "events", "event_keys",
)  # fmt: skip


class CheckedEngine(RuleBasedStateMachine):
    """A database and its model side by side; after every call both must agree."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.model = EngineModel()
        self.connection = psycopg.Connection[dict[str, Any]].connect(self.url, autocommit=True, row_factory=dict_row)
        self.connection.adapters.register_loader("uuid", TextLoader)
        for table in _TABLES:
            self.connection.execute(f"delete from {table}")  # type: ignore[arg-type]
        self.organizations = [new_id() for _ in range(3)]
        self.sent: list[dict[str, Any]] = []

    def teardown(self) -> None:
        self.connection.close()

    def sql(self, query: str, *params: object) -> list[dict[str, Any]]:
        return self.connection.execute(query, params).fetchall()  # type: ignore[arg-type]

    def rows(self, function: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
        return self.sql(f"select * from {function}(%s::jsonb)", json.dumps(rows))

    def pick(self, data: st.DataObject, *states: str, rather: Callable[[ModelTask], bool] | None = None) -> ModelTask:
        tasks = [task for task in self.model.live.values() if not states or task.state in states]
        rare = [task for task in tasks if rather is not None and rather(task)]
        if rare and data.draw(st.booleans()):
            tasks = rare
        return data.draw(st.sampled_from(sorted(tasks, key=lambda task: task.id)))

    def in_state(self, *states: str) -> bool:
        return any(not states or task.state in states for task in self.model.live.values())

    def check_claim(
        self,
        rows: list[dict[str, Any]],
        limit: int,
        before: dict[tuple[str, str], list[ModelTask]],
        lane_rooms: dict[tuple[str, str], int | None],
        rooms: dict[str, int],
    ) -> None:
        claimed = Counter((row["org"], row["task_lane"]) for row in rows)
        by_organization = Counter(row["org"] for row in rows)
        assert len(rows) == len({row["task_id"] for row in rows}) <= limit
        for lane, count in claimed.items():
            first = {task.id for task in before[lane][:count]}
            got = {row["task_id"] for row in rows if (row["org"], row["task_lane"]) == lane}
            assert got == first, "claimed out of order"
            room = lane_rooms[lane]
            assert room is None or count <= room, "concurrency limit exceeded"
        for organization, room in rooms.items():
            assert by_organization[organization] <= room, "more of an organization than wanted"
        share = max(1, limit // 8)
        for lane, tasks in before.items():
            room = lane_rooms[lane]
            is_shut = by_organization[lane[0]] >= rooms.get(lane[0], limit + 1)
            # A limit of the whole organization is used up by its other lanes as well.
            is_closed = is_shut or (room is not None and by_organization[lane[0]] >= room)
            if is_closed or claimed[lane] == len(tasks):
                continue
            assert len(rows) == limit, "left something although there was room"
            if claimed[lane] < share:
                assert max(claimed.values()) <= 2 * share, "one lane got much, another nothing"

    # What always holds

    @invariant()
    def live_tasks_are_as_modelled(self) -> None:
        found = {
            row["id"]: row
            for row in self.sql(
                "select id, state::text as state, fence, worker_id as worker, failures, recoveries, is_paused, lane, "
                "pending_children as pending, is_awaited, run_at is not null as is_timed from tasks"
            )
        }
        expected = {
            task.id: {
                "id": task.id, "state": task.state, "fence": task.fence, "worker": task.worker,
                "failures": task.failures, "recoveries": task.recoveries, "is_paused": task.is_paused,
                "lane": task.lane, "pending": task.pending, "is_awaited": task.is_awaited,
                "is_timed": task.run_at is not None,
            }
            for task in self.model.live.values()
        }  # fmt: skip
        assert found == expected

    @invariant()
    def finished_tasks_are_as_modelled_and_counted(self) -> None:
        found = {row["id"]: row["state"] for row in self.sql("select id, state::text as state from finished_tasks")}
        assert found == {identifier: state for identifier, (_, state) in self.model.finished.items()}
        assert not found.keys() & self.model.live.keys()
        totals = self.sql("select organization_id, kind, state::text as state, tasks from task_totals where tasks <> 0")
        assert {(r["organization_id"], r["kind"], r["state"]): r["tasks"] for r in totals} == self.model.totals()

    @invariant()
    def journals_are_as_modelled(self) -> None:
        found: dict[str, dict[int, tuple[object, bool]]] = {}
        for row in self.sql("select task_id, seq, result, finished_at is null as is_open from steps"):
            result = row["result"]["id"] if isinstance(row["result"], dict) else row["result"]
            found.setdefault(row["task_id"], {})[row["seq"]] = (result, row["is_open"])
        expected = {
            task: {seq: (step.result, step.is_open) for seq, step in steps.items()}
            for task, steps in self.model.steps.items()
            if steps
        }
        assert found == expected
