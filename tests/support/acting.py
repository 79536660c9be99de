"""An engine whose runs may act, and tools that change a folder: real effects that a test can look at."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from bailiwick.audit import Actor, AuditLog, EntryFilter
from bailiwick.authority import Authority, Policies
from bailiwick.authority.approvals import Answered, Answerer, ApprovalRecord, Approvals, Saying
from bailiwick.authority.approvals.facts import EVENT_TYPES as APPROVAL_EVENTS
from bailiwick.authority.autonomy import Autonomy
from bailiwick.authority.autonomy.facts import EVENT_TYPES as AUTONOMY_EVENTS
from bailiwick.authority.budgets import Budgets
from bailiwick.authority.budgets.facts import TYPE as BUDGET_EVENT
from bailiwick.effects import Call, Observation, Tool, ToolRegistry, Undo, Verdict
from bailiwick.effects.acting import EffectActing
from bailiwick.effects.facts import EVENT_TYPES
from bailiwick.effects.ledger import Effects
from bailiwick.effects.record import EffectFilter, EffectRecord
from bailiwick.effects.toolbox import Toolbox
from bailiwick.kernel.ids import new_id
from bailiwick.storage.rows import RowFields
from bailiwick.tasks import Run, Worker
from bailiwick.tasks.acting import Effect
from bailiwick.tasks.services import EngineServices
from tests.support.engine import AnyPayload, Engine

PERSON = Actor("user", new_id(), "somebody")

Hook = Callable[[str], Awaitable[None]]


async def go_on(boundary: str) -> None:
    """Stop nowhere."""
    del boundary


class StopAt:
    """Stops whoever comes to one boundary first, for good; whoever comes later passes."""

    def __init__(self, boundary: str) -> None:
        self.boundary = boundary
        self.reached = asyncio.Event()

    async def __call__(self, boundary: str) -> None:
        """Stop here, or go on."""
        if boundary == self.boundary and not self.reached.is_set():
            self.reached.set()
            await asyncio.Event().wait()

    def watch(self, worker: Worker) -> None:
        """Stop at the journaling of steps, too: ``NAME:unjournaled`` and ``NAME:journaled``."""
        record = worker._journal.record

        async def watched(row: RowFields) -> bool:
            step = str(row["n"]).partition(" ")[0]
            await self(f"{step}:unjournaled")
            held = await record(row)
            await self(f"{step}:journaled")
            return held

        worker._journal.record = watched


class Note(BaseModel):
    """What is to stand in a file of the folder."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    text: str = Field(max_length=1000)


class FolderTool(Tool[Note]):
    """Appends a line ``KEY TEXT`` to a file: how often something was really done can be counted afterwards.

    ``hook`` is called with the name of each boundary, so that a test may fail or stop there.
    """

    name = "folder.append"
    version = "1"
    effect_class = "write"
    arguments = Note
    recovery = "findable"
    summary = "Append a line to a file of a folder"
    timeout_seconds: ClassVar[float] = 0.2

    def __init__(self, folder: Path, hook: Hook = go_on) -> None:
        self.folder = folder
        self.hook = hook
        self.cost = Decimal(0)

    def lines(self, name: str) -> list[str]:
        """Return the lines of a file."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def target(self, arguments: Note) -> str:
        """Return the file."""
        return f"file:{arguments.name}"

    def price(self, arguments: Note) -> Decimal:
        """Return what the test says it costs."""
        del arguments
        return self.cost

    async def observe(self, call: Call[Note]) -> Observation:
        """Return the lines there are, but for those of this very call."""
        await self.hook("observe")
        return Observation([line for line in self.lines(call.arguments.name) if not line.startswith(call.key)])

    async def apply(self, call: Call[Note]) -> dict[str, int]:
        """Append the line."""
        await self.hook("before")
        with (self.folder / call.arguments.name).open("a") as file:
            file.write(f"{call.key} {call.arguments.text}\n")
        await self.hook("after")
        return {"lines": len(self.lines(call.arguments.name))}

    async def find(self, call: Call[Note]) -> dict[str, int] | None:
        """Look for the line."""
        await self.hook("find")
        lines = self.lines(call.arguments.name)
        return {"lines": len(lines)} if any(line.startswith(call.key) for line in lines) else None

    async def verify(self, call: Call[Note], result: Any) -> Verdict:
        """Look whether the line stands."""
        del result
        await self.hook("verify")
        lines = [line for line in self.lines(call.arguments.name) if line.startswith(call.key)]
        return Verdict("verified" if lines else "refuted", {"lines": lines})

    def undo(self, call: Call[Note], observed: Any, result: Any) -> Undo | None:
        """Append what takes it back."""
        del observed, result
        return Undo("folder.append", Note(name=call.arguments.name, text="undone"), timedelta(days=1), "adds a line")

    def undo_of(self, arguments: Note) -> str | None:
        """Say that it can be taken back."""
        return f"a line can be added to {arguments.name} for a day"


class ReplacingTool(FolderTool):
    """Writes a file whole, so that doing it again changes nothing."""

    name = "folder.replace"
    recovery = "idempotent"

    async def apply(self, call: Call[Note]) -> dict[str, int]:
        """Write the one line of this key."""
        await self.hook("before")
        (self.folder / call.arguments.name).write_text(f"{call.key} {call.arguments.text}\n")
        await self.hook("after")
        return {"lines": 1}


class BlindTool(FolderTool):
    """Appends, and nobody can tell afterwards."""

    name = "folder.blind"
    recovery = "none"


class ReadingTool(FolderTool):
    """Reads the lines of a file."""

    name = "folder.read"
    effect_class = "read"
    recovery = "idempotent"

    async def apply(self, call: Call[Note]) -> dict[str, int]:
        """Return how many lines there are."""
        return {"lines": len(self.lines(call.arguments.name))}


class GlancingTool(FolderTool):
    """Reads the lines of a file, and does not say what may be done where that was interrupted."""

    name = "folder.glance"
    effect_class = "read"
    recovery = "none"

    async def apply(self, call: Call[Note]) -> dict[str, int]:
        """Return how many lines there are."""
        await self.hook("before")
        return {"lines": len(self.lines(call.arguments.name))}


TOOLS = (FolderTool, ReplacingTool, BlindTool, ReadingTool, GlancingTool)


async def act_once(run: Run, payload: AnyPayload) -> dict[str, Any]:
    """Carry out the effect that the payload names; return what became of it."""
    acted = await run.act(Effect(payload.tool, {"name": payload.name, "text": payload.text}, "a test wants it"))
    return {"effect_id": acted.effect_id, "state": acted.state, "reason": acted.reason, "result": acted.result}


class ActingEngine(Engine):
    """An engine with authority and the tools above over one folder."""

    def __init__(self, login_url: str, folder: Path, hook: Hook = go_on, **options: Any) -> None:
        super().__init__(login_url, **options)
        self.audit = AuditLog(self.database)
        self.policies = Policies(self.database, self.audit, self.events)
        self.authority = Authority(self.database, self.policies)
        self.autonomy = Autonomy(self.database, self.audit, self.events)
        self.authority.levels = self.autonomy
        self.budgets = Budgets(self.database, self.events, self.audit)
        self.tools = ToolRegistry()
        for tool in TOOLS:
            self.tools.register(tool(folder, hook))
        self.authority.knows_tool = self.tools.knows
        self.approvals = Approvals(self.database, self.events, self.audit, Toolbox(self.tools))
        self.authority.memory = self.approvals
        self.effects = Effects(self.database, self.events, self.audit, approvals=self.approvals, budgets=self.budgets)
        acting = EffectActing(
            self.database, self.tools, self.effects, authority=self.authority, approvals=self.approvals,
            budgets=self.budgets,
        )  # fmt: skip
        self.services = EngineServices(self.queue, self.events, self.database, acting)
        for event_type in (*EVENT_TYPES, *AUTONOMY_EVENTS, *APPROVAL_EVENTS, BUDGET_EVENT):
            self.types.register(event_type)
        self.agent_id = new_id()

    async def employ(self, level: int = 4) -> str:
        """Give the organization an agent that may go as far as a level, and return its id."""
        await self.inspector.execute(
            "insert into organizations (id, slug, name) values (%s, %s, 'test') on conflict do nothing",
            (self.organization_id, self.organization_id[-12:]),
        )
        await self.inspector.execute(
            "insert into agents (id, organization_id, kind, name, capabilities) values (%s, %s, 'tester', %s, '{act}')",
            (self.agent_id, self.organization_id, self.agent_id),
        )
        for effect_class in ("read", "write", "spend", "external", "destructive"):
            await self.autonomy.set_level(
                self.organization_id, self.agent_id, effect_class, level, actor=PERSON, reason="a test"
            )
        return self.agent_id

    async def act(self, tool: str = "folder.append", text: str = "hello", **fields: Any) -> str:
        """Add a task of the kind ``act`` for the agent and return its id."""
        return await self.add("act", {"tool": tool, "name": "file", "text": text}, agent_id=self.agent_id, **fields)

    async def asked(self, task_id: str) -> ApprovalRecord:
        """Wait until a task waits for people and return what they are asked."""
        await self.reaches_wait(task_id, "approval.answered")
        found = await self.approvals.list(self.organization_id, state="waiting")
        return next(one for one in found.items if one.task_id == task_id)

    async def answer(self, approval: ApprovalRecord, decision: Any = "approve", **more: Any) -> Answered:
        """Answer as whoever runs the installation; an edit is a person's, so that its answer may be theirs."""
        if decision == "edit":
            return await self.say(approval, decision, by=await self.person(), **more)
        answerer = Answerer(Actor("system", "account:test", "a test"), None, "cli")
        said = Saying(decision, approval.digest, **more)
        return await self.approvals.answer(self.organization_id, approval.id, said, answerer)

    async def person(self) -> str:
        """Return the id of a new account that may answer everything."""
        user_id = new_id()
        await self.inspector.execute(
            "insert into users (id, email, name, is_admin) values (%s, %s, 'Ada', true)",
            (user_id, f"{user_id}@test.example"),
        )
        return user_id

    async def say(self, approval: ApprovalRecord, decision: Any = "approve", *, by: str, **more: Any) -> Answered:
        """Answer as a person."""
        answerer = Answerer(Actor("user", by, "Ada"), by, "api")
        said = Saying(decision, approval.digest, **more)
        return await self.approvals.answer(self.organization_id, approval.id, said, answerer)

    async def effect_of(self, task_id: str) -> EffectRecord:
        """Return the newest effect of a task."""
        page = await self.effects.list(self.organization_id, EffectFilter(task_id=task_id))
        return page.items[0]

    async def states(self, effect_id: str) -> list[str]:
        """Return every state an effect was in."""
        return [move.state for move in await self.effects.history(self.organization_id, effect_id)]

    async def audited(self, effect_id: str) -> list[str]:
        """Return what the audit log says of an effect, oldest first."""
        page = await self.audit.list(self.organization_id, EntryFilter(target=f"effect:{effect_id}"))
        return [entry.action for entry in reversed(page.items)]
