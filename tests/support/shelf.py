"""Tools that can take back what they do, over files of a folder, and an engine that rewinds what they did."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

from pydantic import BaseModel, Field

from bailiwick.effects import Call, Observation, Tool, Undo, Verdict
from bailiwick.effects.rewinding import Rewinding, RewindPayload
from bailiwick.kernel.errors import ConflictError
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect
from tests.support.acting import PERSON, ActingEngine
from tests.support.engine import AnyPayload

Hook = Callable[[str, str], Awaitable[None]]


class Thing(BaseModel):
    """A file of the shelf and what is to stand in it; nothing stands in one that is taken off."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    text: str = Field(default="", max_length=1000)


class Shelf:
    """The folder.

    ``hook`` is called with a tool and a boundary, ``refused`` names what may not change,
    of ``lies`` it is seen that it does not stand, and of ``blind`` nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hook: Hook | None = None
        self.refused: set[str] = set()
        self.lies: set[str] = set()
        self.blind: set[str] = set()

    def read(self, name: str) -> str | None:
        """Return what stands in a file, or None."""
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def contents(self) -> dict[str, str]:
        """Return everything on the shelf."""
        return {path.name: path.read_text() for path in sorted(self.folder.iterdir())}


class ShelfTool(Tool[Thing]):
    """What the tools of the shelf have in common: each changes one file, and doing it again changes nothing."""

    version = "1"
    effect_class = "write"
    arguments = Thing
    recovery = "idempotent"

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def target(self, arguments: Thing) -> str:
        """Return the file."""
        return f"file:{arguments.name}"

    async def observe(self, call: Call[Thing]) -> Observation:
        """Return what stands there."""
        return Observation(self.shelf.read(call.arguments.name))

    async def apply(self, call: Call[Thing]) -> dict[str, int | None]:
        """Change the file, unless it may not change."""
        if call.arguments.name in self.shelf.refused:
            raise ConflictError(f"{call.arguments.name} is nailed to the shelf")
        await self._at("before")
        self.change(self.shelf.folder / call.arguments.name, call.arguments.text)
        await self._at("after")
        # A number: what a tool answers in words comes from outside, and would want a person.
        return {"left": _sum(self.shelf.read(call.arguments.name))}

    async def _at(self, boundary: str) -> None:
        if self.shelf.hook is not None:
            await self.shelf.hook(self.name, boundary)

    def change(self, path: Path, text: str) -> None:
        """Change the file."""
        raise NotImplementedError

    async def verify(self, call: Call[Thing], result: Any) -> Verdict:
        """Look whether that stands which was left."""
        if call.arguments.name in self.shelf.blind:
            return Verdict("unverifiable", {"error": "it is dark"})
        found = self.shelf.read(call.arguments.name)
        is_so = _sum(found) == result["left"] and call.arguments.name not in self.shelf.lies
        return Verdict("verified" if is_so else "refuted", {"text": found})


def _sum(text: str | None) -> int | None:
    return None if text is None else crc32(text.encode())


class PutTool(ShelfTool):
    """Puts a text into a file."""

    name = "shelf.put"
    summary = "Put a text into a file"

    def change(self, path: Path, text: str) -> None:
        """Write it."""
        path.write_text(text)

    def undo(self, call: Call[Thing], observed: Any, result: Any) -> Undo | None:
        """Put back what stood there, or take the file off."""
        del result
        if observed is None:
            return Undo("shelf.take", Thing(name=call.arguments.name), timedelta(days=30))
        return Undo("shelf.put", Thing(name=call.arguments.name, text=observed), timedelta(days=30), "text only")

    def undo_of(self, arguments: Thing) -> str | None:
        """Say so."""
        return f"what stood in {arguments.name} can be put back for 30 days"


class TakeTool(PutTool):
    """Takes a file off the shelf."""

    name = "shelf.take"
    summary = "Take a file off the shelf"
    effect_class = "destructive"

    def change(self, path: Path, text: str) -> None:
        """Remove it."""
        del text
        path.unlink(missing_ok=True)

    def undo(self, call: Call[Thing], observed: Any, result: Any) -> Undo | None:
        """Put back what stood there; where nothing did, nothing is to be put back."""
        del result
        if observed is None:
            return None
        return Undo("shelf.put", Thing(name=call.arguments.name, text=observed), timedelta(days=30))


class BurnTool(PutTool):
    """Puts a text into a file, and nothing brings back what stood there."""

    name = "shelf.burn"
    summary = "Burn a text into a file"

    def undo(self, call: Call[Thing], observed: Any, result: Any) -> Undo | None:
        """Nothing does."""
        del call, observed, result
        return None


class DropTool(TakeTool):
    """Takes a file off the shelf, and nobody can tell afterwards."""

    name = "shelf.drop"
    summary = "Drop a file"
    recovery = "none"


class LayTool(PutTool):
    """Puts a text into a file; what takes it back may be lost sight of."""

    name = "shelf.lay"
    summary = "Lay a text into a file"

    def undo(self, call: Call[Thing], observed: Any, result: Any) -> Undo | None:
        """Drop the file."""
        del observed, result
        return Undo("shelf.drop", Thing(name=call.arguments.name))


async def play(run: Run, payload: AnyPayload) -> list[str]:
    """Carry out a script of ``[tool, name, text]``; return what became of each."""
    states: list[str] = []
    for tool, name, text in payload.script:
        acted = await run.act(Effect(f"shelf.{tool}", {"name": name, "text": text}, "the script says so"))
        states.append(f"{acted.state} {acted.reason}" if not acted.is_done else acted.state)
    return states


class RewindingEngine(ActingEngine):
    """An engine with a shelf, whose runs can be rewound."""

    def __init__(self, login_url: str, folder: Path, **options: Any) -> None:
        super().__init__(login_url, folder, **options)
        self.shelf = Shelf(folder)
        for tool in (PutTool, TakeTool, BurnTool, LayTool, DropTool):
            self.tools.register(tool(self.shelf))
        self.rewinder_id = new_id()
        self.rewinding = Rewinding(
            self.database, self.effects, self.tools, self.queue, self.audit, agent_of=self._rewinder
        )
        self.kinds.register(self.rewinding.kind())
        self.handles("play", play)

    async def _rewinder(self, organization_id: str) -> str:
        assert organization_id == self.organization_id
        return self.rewinder_id

    async def staff(self, level: int = 5) -> None:
        """Hire who plays and who rewinds; the rewinder may go as far as a level."""
        await self.employ(5)
        player, self.agent_id = self.agent_id, self.rewinder_id
        await self.employ(level)
        self.agent_id = player

    async def play(self, *script: tuple[str, str, str]) -> str:
        """Play a script to its end and return the run."""
        run = await self.add("play", {"script": script}, agent_id=self.agent_id)
        ended = await self.ended(run)
        assert ended["state"] == "completed", ended["errors"]
        return run

    def wanted(self, run: str, to_step: int = 0, **words: Any) -> RewindPayload:
        """What is asked for."""
        return RewindPayload(run=run, to_step=to_step, **words)

    async def rewind(self, run: str, to_step: int = 0, **words: Any) -> dict[str, Any]:
        """Rewind a run and return what the rewind says at its end."""
        begun = await self.rewinding.begin(self.organization_id, self.wanted(run, to_step, **words), actor=PERSON)
        assert begun.task_id is not None
        ended = await self.ended(begun.task_id, seconds=30)
        assert ended["state"] == "completed", ended["errors"]
        return ended["result"]
