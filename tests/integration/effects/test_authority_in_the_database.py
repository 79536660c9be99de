"""What the database itself refuses, whoever asks and however: no move without what it needs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bailiwick.audit import SYSTEM, Act
from bailiwick.effects.digest import digest_of
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect
from tests.support.acting import PERSON, ActingEngine, StopAt, act_once
from tests.support.engine import AnyPayload

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)


@pytest.fixture
async def stopped(login_url: str, tmp_path: Path) -> AsyncIterator[tuple[ActingEngine, StopAt]]:
    """An engine whose first run stops once its effect is proposed and allowed, before it begins."""
    async with AsyncExitStack() as stack:
        stop = StopAt("propose:journaled")
        engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path, stop))
        engine.handles("act", act_once)
        await engine.employ()
        worker = await engine.work()
        stop.watch(worker)
        task = await engine.act()
        await stop.reached.wait()
        del task
        yield engine, stop


async def asked(engine: ActingEngine, sql: str, *params: Any) -> Any:
    """Run one statement as the application, in its organization."""
    row = await engine.database.fetch_one(f"select {sql} as answer", params, organization_id=engine.organization_id)
    assert row is not None
    return row["answer"]


async def only(engine: ActingEngine) -> Any:
    [effect] = (await engine.effects.list(engine.organization_id)).items
    return effect


COLUMNS_BOUND = {
    "state": "'applied'", "digest": "repeat('0', 64)", "decision_id": "gen_random_uuid()", "price": "7",
    "tool": "'folder.replace'", "calls": "0", "fence": "0", "organization_id": "gen_random_uuid()",
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS_BOUND)
async def test_the_application_changes_nothing_that_is_bound(stopped: tuple[ActingEngine, StopAt], column: str) -> None:
    engine, _ = stopped
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await engine.database.execute(
            f"update effects set {column} = {COLUMNS_BOUND[column]}", organization_id=engine.organization_id
        )


@pytest.mark.parametrize("statement", ["delete from effects", "delete from effect_moves", "truncate effects cascade",
                                       "update effect_moves set state = 'applied'"])  # fmt: skip
async def test_the_application_takes_nothing_away(stopped: tuple[ActingEngine, StopAt], statement: str) -> None:
    engine, _ = stopped
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await engine.database.execute(statement, organization_id=engine.organization_id)


@pytest.mark.parametrize("column", COLUMNS_BOUND.keys() - {"state", "calls", "fence", "organization_id"})
async def test_an_effect_that_somebody_changed_never_begins(
    stopped: tuple[ActingEngine, StopAt], tmp_path: Path, column: str
) -> None:
    """Tampering by whoever owns the database, past every grant; what merely moved is proposed anew."""
    engine, _ = stopped
    effect = await only(engine)
    await engine.inspector.execute(f"update effects set {column} = {COLUMNS_BOUND[column]}")
    await engine.crash(engine.workers[0])
    await engine.work()
    await engine.ended(effect.task_id)
    changed = await engine.effects.get(engine.organization_id, effect.id)
    assert (changed.state in ("declined", "proposed"), changed.calls) == (True, 0)
    assert not (tmp_path / "file").exists() or effect.id not in (tmp_path / "file").read_text()


@pytest.mark.parametrize(
    "change",
    [
        'update effects set arguments = \'{"name": "file", "text": "evil"}\'',
        "update effects set observed = '[\"something\"]'",
        "update effects set target = 'file:other'",
        "set session_replication_role = replica; update decisions set outcome = 'deny'",
        "set session_replication_role = replica; update decisions set is_shadow = true",
        "set session_replication_role = replica; update decisions set tool = 'folder.replace'",
        "set session_replication_role = replica; delete from decisions",
    ],
)
async def test_what_was_changed_between_decision_and_begin_is_refused(
    stopped: tuple[ActingEngine, StopAt], tmp_path: Path, change: str
) -> None:
    engine, _ = stopped
    effect = await only(engine)
    async with await psycopg.AsyncConnection.connect(engine.login_url) as connection:
        await connection.execute(change)  # type: ignore[arg-type] # a list of the test's own
    await engine.crash(engine.workers[0])
    # Nobody stops the next worker.
    await engine.work()
    ended = await engine.ended(effect.task_id)
    written = (tmp_path / "file").read_text() if (tmp_path / "file").exists() else ""
    assert effect.id not in written
    first = await engine.effects.get(engine.organization_id, effect.id)
    assert first.state == "declined"
    if "observed" not in change and "target" not in change:
        assert ended["result"]["state"] == "declined"
        assert "is not what was decided about" in (first.problem or "")
        assert await engine.audited(effect.id) == ["effect.refused"]


@pytest.mark.parametrize(
    "change",
    [
        "update approvals set digest = repeat('0', 64)",
        "update approvals set state = 'rejected'",
        "update approvals set state = 'expired'",
        "update approvals set effect_id = gen_random_uuid()",
        "update effects set approval_id = null, decision_id = null",
        "update effects set digest = repeat('0', 64)",
        "delete from approval_answers; delete from approvals",
    ],
)
async def test_a_yes_that_was_changed_is_none(login_url: str, tmp_path: Path, change: str) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(ActingEngine(login_url, tmp_path))
        engine.handles("act", act_once)
        await engine.employ(level=2)
        worker = await engine.work()
        task = await engine.act()
        approval = await engine.asked(task)
        await engine.crash(worker)
        await engine.answer(approval)
        async with await psycopg.AsyncConnection.connect(engine.login_url) as connection:
            await connection.execute("set session_replication_role = replica; " + change)  # type: ignore[arg-type]
        await engine.work()
        ended = await engine.ended(task)
        assert ended["state"] == "discarded" or ended["result"]["state"] == "declined"
        assert not (tmp_path / "file").exists()
        effect = await engine.effect_of(task)
        assert (effect.state, effect.calls) == ("declined", 0)


async def test_no_effect_is_born_without_authority(engine: ActingEngine) -> None:
    """Straight into the table, with a task that is held but no decision that allows it."""
    refusals: list[str] = []

    async def handle(run: Run, payload: AnyPayload) -> None:
        for state in ("proposed", "executing", "applied", "verified", "waiting"):
            values = (new_id(), run.task.organization_id, run.task.id, len(refusals), run.task.fence, state)
            try:
                await engine.database.execute(
                    "insert into effects (id, organization_id, task_id, seq, fence, tool, tool_version, effect_class, "
                    "arguments, target, digest, state, reason) values (%s, %s, %s, %s, %s, 't', '1', 'write', '{}', "
                    "'file:x', repeat('0', 64), %s, 'because')",
                    values, organization_id=run.task.organization_id,
                )  # fmt: skip
            except psycopg.Error as error:
                refusals.append(type(error).__name__)

    engine.handles("forge", handle)
    await engine.work()
    await engine.ended(await engine.add("forge"))
    assert refusals == ["InsufficientPrivilege"] * 5


async def test_no_move_comes_out_of_turn_or_unaudited(stopped: tuple[ActingEngine, StopAt]) -> None:
    engine, _ = stopped
    effect = await only(engine)
    task = await engine.live(effect.task_id)
    assert task is not None
    fence = task["fence"]
    # Not begun: nothing ends, is judged, settled or taken back.
    assert not await asked(engine, "effect_end(%s, %s, 'applied', '{}', null, null, null)", effect.id, fence)
    assert not await asked(engine, "effect_judge(%s, 'verified', '[]')", effect.id)
    assert not await asked(engine, "effect_settle_unknown(%s, 'applied', 'so')", effect.id)
    assert not await asked(engine, "effect_revert(%s, %s)", effect.id, effect.id)
    # Another fence, another digest, no fence while the task lives.
    begin = "effect_begin(%s, %s, %s, false)"
    assert await asked(engine, begin, effect.id, fence + 1, effect.digest) == "lost"
    assert await asked(engine, begin, effect.id, None, effect.digest) == "lost"
    assert await asked(engine, begin, effect.id, fence, "0" * 64) == "refused"
    assert not await asked(engine, "effect_decline(%s, null, 'so')", effect.id)
    assert await asked(engine, begin, effect.id, fence, effect.digest) == "begun"
    # Begun: not declined, not judged, and not ended without its audit entry in the same transaction.
    assert not await asked(engine, "effect_decline(%s, %s, 'so')", effect.id, fence)
    end = "effect_end(%s, %s, 'applied', '{}', null, null, null)"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audited"):
        await asked(engine, end, effect.id, fence)
    act = Act(engine.organization_id, "effect.applied", SYSTEM, f"effect:{effect.id}")
    await engine.audit.record(act)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audited"):
        await asked(engine, end, effect.id, fence)
    async with engine.database.transaction(engine.organization_id) as connection:
        await engine.audit.record(act, connection=connection)
        await connection.execute(f"select {end}", (effect.id, fence))
    assert (await only(engine)).state == "applied"
    # Done: nothing is done again.
    assert await asked(engine, begin, effect.id, fence, effect.digest) == "moved"


async def test_another_organization_moves_nothing(stopped: tuple[ActingEngine, StopAt]) -> None:
    engine, _ = stopped
    effect = await only(engine)
    task = await engine.live(effect.task_id)
    assert task is not None
    own, engine.organization_id = engine.organization_id, new_id()
    assert await asked(engine, "effect_begin(%s, %s, %s, false)", effect.id, task["fence"], effect.digest) == "moved"
    assert not await asked(engine, "effect_decline(%s, %s, 'so')", effect.id, task["fence"])
    engine.organization_id = own
    assert (await only(engine)).state == "proposed"


async def test_what_was_decided_does_not_begin_once_the_agent_lost_its_level(
    stopped: tuple[ActingEngine, StopAt], tmp_path: Path
) -> None:
    engine, _ = stopped
    effect = await only(engine)
    await engine.autonomy.set_level(
        engine.organization_id, engine.agent_id, "write", 1, actor=PERSON, reason="it only watches"
    )
    await engine.crash(engine.workers[0])
    await engine.work()
    ended = await engine.ended(effect.task_id)
    assert ended["result"]["state"] == "declined"
    assert not (tmp_path / "file").exists()
    first = await engine.effects.get(engine.organization_id, effect.id)
    assert (first.state, first.calls) == ("declined", 0)
    assert "lost its level" in (first.problem or "")


@pytest.mark.parametrize(("level", "is_done"), [(1, False), (2, True)])
async def test_a_yes_of_people_holds_for_an_agent_that_does_more_than_observe(
    engine: ActingEngine, tmp_path: Path, level: int, is_done: bool
) -> None:
    await engine.employ(level=3)
    worker = await engine.work()
    await engine.inspector.execute(
        "insert into policies (organization_id, version, source, digest, put_by_kind, put_by_id, put_by_name) "
        "values (%s, 1, 'rules: [{name: ask, then: approve}]', '', 'user', 'x', 'x')",
        (engine.organization_id,),
    )
    task = await engine.act()
    approval = await engine.asked(task)
    await engine.crash(worker)
    await engine.answer(approval)
    await engine.autonomy.set_level(
        engine.organization_id, engine.agent_id, "write", level, actor=PERSON, reason="a test"
    )
    await engine.work()
    assert ((await engine.ended(task))["result"]["state"] == "verified") is is_done
    assert (tmp_path / "file").exists() is is_done


async def test_a_yes_of_people_carries_nothing_out_for_a_disabled_agent(engine: ActingEngine, tmp_path: Path) -> None:
    await engine.employ(level=2)
    worker = await engine.work()
    task = await engine.act()
    approval = await engine.asked(task)
    await engine.crash(worker)
    await engine.answer(approval)
    await engine.inspector.execute("update agents set is_enabled = false where id = %s", (engine.agent_id,))
    await engine.work()
    ended = await engine.ended(task)
    assert (ended["result"]["state"], "disabled" in ended["result"]["reason"]) == ("declined", True)
    assert not (tmp_path / "file").exists()


async def test_a_decision_carries_one_effect_and_no_other_arguments(engine: ActingEngine) -> None:
    """A decision that allows is copied onto an effect of other arguments, and onto the same once more."""
    refused: list[str] = []

    async def handle(run: Run, payload: AnyPayload) -> None:
        acted = await run.act(Effect("folder.append", {"name": "file", "text": "hello"}, "a test wants it"))
        for seq, text in ((1000, "evil"), (1001, "hello")):
            digest = digest_of(
                "folder.append", "1", {"name": "file", "text": text}, target="file:file", observed=[],
                policy_version="0/0", price=Decimal(0),
            )  # fmt: skip
            try:
                await engine.database.execute(
                    "insert into effects (id, organization_id, task_id, seq, fence, agent_id, tool, tool_version, "
                    "effect_class, arguments, target, observed, policy, digest, state, decision_id, reason) "
                    "select %s, organization_id, task_id, %s, fence, agent_id, tool, tool_version, effect_class, "
                    "arguments || jsonb_build_object('text', %s::text), target, observed, policy, %s, 'proposed', "
                    "decision_id, reason from effects where id = %s",
                    (new_id(), seq, text, digest, acted.effect_id), organization_id=run.task.organization_id,
                )  # fmt: skip
            except psycopg.errors.InsufficientPrivilege:
                refused.append(text)

    engine.handles("reuse", handle)
    await engine.employ()
    await engine.work()
    await engine.ended(await engine.add("reuse", agent_id=engine.agent_id))
    assert refused == ["evil", "hello"]
