"""Whatever happens to runs that act: nothing without authority, nothing twice, nothing outside the audit log."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.kernel.errors import ConflictError, UnavailableError
from tests.support.acting import PERSON, ActingEngine, StopAt, act_once
from tests.support.engine import Row, until

pytestmark = [pytest.mark.durability, pytest.mark.timeout(300)]

NEXT = {
    None: {"proposed", "waiting", "declined"},
    "proposed": {"executing", "declined"},
    "waiting": {"executing", "declined"},
    "executing": {"executing", "applied", "failed", "unknown"},
    "unknown": {"applied", "failed"},
    "applied": {"verified", "refuted", "unverifiable", "reverted"},
    "verified": {"reverted"}, "refuted": {"reverted"}, "unverifiable": {"reverted"},
    "declined": set(), "failed": set(), "reverted": set(),
}  # fmt: skip
"""The edges that docs/explanation/effects.md draws."""

DONE = ("applied", "verified", "refuted", "unverifiable", "reverted")


@dataclass(frozen=True)
class Story:
    """What happens to one run: who may, what people say, what moves, where the worker dies, how the tool fails."""

    tool: str
    level: int
    answer: str
    moves: bool
    boundary: str
    failure: str


stories = st.builds(
    Story,
    tool=st.sampled_from(["folder.append", "folder.replace", "folder.blind"]),
    level=st.sampled_from([0, 1, 2, 2, 4, 4]),
    answer=st.sampled_from(["approve", "approve", "reject", "edit", "silence"]),
    moves=st.booleans(),
    boundary=st.sampled_from(
        ["none", "observe", "propose:unjournaled", "propose:journaled", "before", "after", "verify",
         "apply:unjournaled", "apply:journaled"]
    ),
    failure=st.sampled_from(["none", "none", "refused", "passing", "unknown"]),
)  # fmt: skip


class Mishap(StopAt):
    """Stops at a boundary once; fails once in the tool's call."""

    def __init__(self, story: Story) -> None:
        super().__init__(story.boundary)
        self.failure = story.failure

    async def __call__(self, boundary: str) -> None:
        """Stop, fail or go on."""
        await super().__call__(boundary)
        if boundary == "before" and self.failure != "none":
            failure, self.failure = self.failure, "none"
            if failure == "refused":
                raise ConflictError("refused")
            raise UnavailableError("for now") if failure == "passing" else RuntimeError("in doubt")


async def tell(url: str, folder: Path, story: Story) -> tuple[list[Row], list[Row], list[Row]]:
    """Let a story happen to its end; return its effects, their moves and the audit entries about them."""
    mishap = Mishap(story)
    async with ActingEngine(url, folder, mishap) as engine:
        engine.handles("act", act_once)
        if story.level:
            await engine.employ(story.level)
        worker = await engine.work()
        mishap.watch(worker)
        task = await engine.act(story.tool)
        for _ in range(8):
            waits = await settled_or_waiting(engine, task, mishap)
            if waits == "ended":
                break
            if waits == "stopped":
                await engine.crash(engine.workers[0])
                mishap.boundary = "none"
                await engine.work()
            elif waits == "effect.settled":
                effect = await engine.effect_of(task)
                await engine.effects.settle_unknown(
                    engine.organization_id, effect.id, "applied" if lines(folder, effect.id) else "failed",
                    actor=PERSON, reason="looked",
                )  # fmt: skip
                await engine.ended(task)
            else:
                await answer(engine, task, story, folder)
        else:
            raise AssertionError("the story has no end")
        of = {"organization": engine.organization_id}
        return (
            await engine.inspector.fetch_all(FACTS, of),
            await engine.inspector.fetch_all(
                "select effect_id, seq, state from effect_moves where organization_id = %(organization)s "
                "order by effect_id, seq",
                of,
            ),
            await engine.inspector.fetch_all(
                "select target, action from audit_entries where organization_id = %(organization)s", of
            ),
        )


FACTS = """
select e.id, e.state, e.calls, e.digest, d.outcome, d.is_shadow, a.state as answered, a.digest as shown,
       a.effect_id = e.id as is_its_own, a.id is not null as was_asked
from effects e left join decisions d on d.id = e.decision_id left join approvals a on a.id = e.approval_id
where e.organization_id = %(organization)s order by e.id"""


async def settled_or_waiting(engine: ActingEngine, task: str, mishap: Mishap) -> str:
    async def look() -> str | None:
        if mishap.reached.is_set() and mishap.boundary != "none":
            return "stopped"
        live = await engine.live(task)
        if live is None:
            return "ended"
        if live["state"] != "waiting":
            return None
        if live["wait_event"] == "approval.answered":
            found = (await engine.approvals.list(engine.organization_id, state="waiting")).items
            return "approval.answered" if found else None
        return live["wait_event"]

    return str(await until(look, "the story goes on", seconds=30))


async def answer(engine: ActingEngine, task: str, story: Story, folder: Path) -> None:
    [approval] = (await engine.approvals.list(engine.organization_id, state="waiting")).items
    if story.moves:
        (folder / "file").write_text("moved\n")
    if story.answer == "silence":
        await engine.inspector.execute(
            "update approvals set expires_at = now() - interval '1 minute' where id = %s", (approval.id,)
        )
        await engine.approvals.expire(engine.organization_id, approval.id)
    elif story.answer == "edit" and "better" not in str(approval.arguments):
        await engine.answer(approval, "edit", arguments={"name": "file", "text": "better"})
    else:
        await engine.answer(approval, "reject" if story.answer == "reject" else "approve")
    del task


def lines(folder: Path, effect_id: str) -> int:
    path = folder / "file"
    return sum(line.startswith(effect_id) for line in path.read_text().splitlines()) if path.exists() else 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories)
def test_no_story_breaks_a_promise(login_url: str, story: Story) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        effects, moves, entries = asyncio.run(tell(login_url, folder, story))
        written = {line.split()[0] for line in (folder / "file").read_text().splitlines()} - {"moved"} if (
            folder / "file").exists() else set[str]()  # fmt: skip
        counts = {effect["id"]: lines(folder, effect["id"]) for effect in effects}
    assert effects
    known = {effect["id"]: effect for effect in effects}
    # Nothing stands outside that is not an effect which began; nothing is there twice.
    assert written <= {effect["id"] for effect in effects if effect["calls"] > 0}
    assert all(count <= 1 for count in counts.values())
    for effect in effects:
        if effect["calls"] > 0:
            is_allowed = effect["outcome"] == "allow" and not effect["is_shadow"] and not effect["was_asked"]
            is_approved = (effect["answered"], effect["shown"], effect["is_its_own"]) == (
                "approved", effect["digest"], True,
            )  # fmt: skip
            assert is_allowed or is_approved, effect
        told = [entry["action"] for entry in entries if entry["target"] == f"effect:{effect['id']}"]
        if effect["state"] in DONE:
            assert told.count("effect.applied") + told.count("effect.settled") == 1, told
    path: dict[str, str | None] = dict.fromkeys(known)
    for move in moves:
        assert move["state"] in NEXT[path[move["effect_id"]]], (path[move["effect_id"]], move["state"])
        path[move["effect_id"]] = move["state"]
    assert path == {effect["id"]: effect["state"] for effect in effects}
