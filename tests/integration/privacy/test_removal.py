"""What agents proposed, decided and did goes with its run, or years later; what is open, needed or held stays."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailiwick.audit import EntryFilter
from bailiwick.kernel.ids import new_id
from bailiwick.privacy.holds import LegalHolds
from bailiwick.privacy.locations import DataMap
from bailiwick.privacy.policies import RetentionPolicies
from bailiwick.privacy.removal import Removal
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage.database import trusted
from bailiwick.vault import Vault
from bailiwick.vault.key_file import KeyFile
from tests.support.acting import PERSON, act_once
from tests.support.shelf import RewindingEngine

TABLES = (
    "effects", "effect_moves", "decisions", "approvals", "approval_answers", "outcomes", "shadow_comparisons",
    "budget_reservations",
)  # fmt: skip
YEARS_7 = 7 * 365


class Past:
    """An engine whose history can be made old."""

    def __init__(self, engine: RewindingEngine, folder: Path) -> None:
        self.engine = engine
        self.organization_id = engine.organization_id
        vault = Vault(engine.database, KeyFile(folder / "master.key", may_create=True))
        subjects = Subjects(engine.database, vault, engine.audit)
        self.holds = LegalHolds(engine.database, subjects, engine.audit)
        self.policies = RetentionPolicies(engine.database, DataMap(), subjects, self.holds, engine.audit)
        self.removal = Removal(engine.database, self.policies, engine.audit)

    async def execute(self, sql: str, **values: object) -> None:
        """Run a statement past every rule."""
        async with self.engine.inspector.transaction() as connection:
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(trusted(sql), values)

    async def age(self, days: int) -> None:
        """Let so many days pass over everything that was done."""
        by = f"- interval '{days} days'"
        for change in (
            f"update effects set proposed_at = proposed_at {by}, began_at = began_at {by}, ended_at = ended_at {by}, "
            f"undo_until = undo_until {by}",
            f"update effect_moves set at = at {by}",
            f"update outcomes set check_at = check_at {by}, checked_at = checked_at {by}",
            f"update budget_reservations set reserved_at = reserved_at {by}, ended_at = ended_at {by}",
        ):
            await self.execute(change)

    async def forget_runs(self) -> None:
        """Drop the months of the runs."""
        await self.execute("delete from finished_tasks")

    async def ask_people(self) -> None:
        """Let the agent do nothing by itself from now on."""
        engine = self.engine
        await engine.autonomy.set_level(
            self.organization_id, engine.agent_id, "write", 2, actor=PERSON, reason="a test"
        )

    async def remove(self) -> dict[str, int]:
        """Look at everything there is."""
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        return await self.removal.remove(self.organization_id, months_before=tomorrow, by=new_id())

    async def left(self) -> dict[str, int]:
        """Return by table how many rows there are, without those where there are none."""
        counts: dict[str, int] = {}
        for table in TABLES:
            row = await self.engine.inspector.fetch_one(f"select count(*) as n from {table}")
            assert row is not None
            counts[table] = row["n"]
        return {table: n for table, n in counts.items() if n}

    async def told(self) -> list[dict[str, int]]:
        """Return what the audit log says was removed, newest first."""
        page = await self.engine.audit.list(self.organization_id, EntryFilter(action="retention.removed"))
        return [dict(entry.after or {}) for entry in page.items]


@pytest.fixture
async def past(login_url: str, tmp_path: Path) -> AsyncIterator[Past]:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    async with RewindingEngine(login_url, shelf) as engine:
        engine.handles("act", act_once)
        await engine.staff()
        await engine.work()
        yield Past(engine, tmp_path)


async def test_a_read_and_its_decision_go_with_their_run(past: Past) -> None:
    await past.engine.ended(await past.engine.act("folder.read"))
    before = await past.left()
    assert before["effects"] == before["decisions"] == 1
    assert await past.remove() == {}
    assert await past.left() == before
    await past.forget_runs()
    removed = await past.remove()
    assert removed["effects"] == removed["decisions"] == 1
    assert await past.left() == {}
    assert await past.told() == [removed]
    assert await past.remove() == {}
    assert await past.told() == [removed]


async def test_a_change_stays_with_its_decision_as_long_as_the_audit_log_has_to(past: Past) -> None:
    await past.engine.play(("put", "a", "new"))
    before = await past.left()
    await past.forget_runs()
    await past.age(YEARS_7 - 1)
    assert await past.remove() == {}
    assert await past.left() == before
    await past.policies.set(past.organization_id, "audit", YEARS_7 + 10, actor=PERSON)
    await past.age(5)
    assert await past.remove() == {}
    await past.age(10)
    assert (await past.remove())["effects"] == 1
    assert await past.left() == {}


async def test_what_people_were_asked_goes_with_what_they_were_asked_about(past: Past) -> None:
    await past.ask_people()
    asked = [await past.engine.act(text=text) for text in ("yes", "no")]
    for task, answer in zip(asked, ("approve", "reject"), strict=True):
        await past.engine.answer(await past.engine.asked(task), answer)
        await past.engine.ended(task)
        effect = await past.engine.effect_of(task)
        async with past.engine.database.transaction(past.organization_id) as connection:
            await past.engine.autonomy.record_decision(
                past.organization_id, past.engine.agent_id, "write", "approved" if answer == "approve" else "rejected",
                effect_id=effect.id, is_irreversible=False, connection=connection,
            )  # fmt: skip
    evidence = "select count(*) as n from autonomy_evidence"
    learned = await past.engine.inspector.fetch_one(evidence)
    await past.age(60)
    await past.forget_runs()
    # What was refused changed nothing.
    removed = await past.remove()
    assert (removed["effects"], removed["approvals"]) == (1, 1)
    await past.age(YEARS_7)
    removed = await past.remove()
    assert (removed["effects"], removed["approvals"]) == (1, 1)
    assert await past.left() == {}
    # What autonomy learned of it stays.
    assert learned is not None
    assert learned["n"] == 2
    assert await past.engine.inspector.fetch_one(evidence) == learned


OPEN = {
    "a waiting approval": "update effects set state = 'waiting', ended_at = null, began_at = null",
    "a call under way": "update effects set state = 'executing', ended_at = null",
    "an unknown end": "update effects set state = 'unknown'",
    "an inverse that is possible": "update effects set undo_until = now() + interval '1 minute'",
    "a look to come": (
        'insert into outcomes (id, organization_id, effect_id, task_id, "check", claim, check_at) '
        "select gen_random_uuid(), organization_id, id, task_id, 'x', 'x', now() from effects"
    ),
    "a reservation that is held": (
        "insert into budget_reservations (organization_id, key, unit, state, reserved, reserved_at) "
        "select organization_id, 'effect:' || id, 'money', 'reserved', 1, now() - interval '8 years' from effects"
    ),
    "a spending that counts in this month": (
        "insert into budget_reservations (organization_id, key, unit, state, reserved, reserved_at, ended_at) "
        "select organization_id, 'effect:' || id, 'money', 'released', 1, now(), now() from effects"
    ),
    "a late look": (
        'insert into outcomes (id, organization_id, effect_id, task_id, "check", claim, check_at, state, checked_at) '
        "select gen_random_uuid(), organization_id, id, task_id, 'x', 'x', now(), 'worked', now() from effects"
    ),
    "a task that is not over": (
        "insert into tasks (id, organization_id, kind, state, priority, payload) "
        "select task_id, organization_id, 'act', 'waiting', 2, '{}' from effects"
    ),
}


@pytest.mark.parametrize("what", OPEN)
async def test_nothing_goes_of_which_something_may_still_come(past: Past, what: str) -> None:
    await past.engine.play(("put", "a", "new"))
    await past.forget_runs()
    await past.age(YEARS_7 + 1)
    await past.execute(OPEN[what])
    before = await past.left()
    assert await past.remove() == {}
    assert await past.left() == before


async def test_what_was_taken_back_stays_as_long_as_what_took_it_back(past: Past) -> None:
    run = await past.engine.play(("put", "a", "new"))
    await past.engine.rewind(run)
    for old in (
        "update effect_moves set at = at - interval '8 years' where effect_id in (select reverts from effects)",
        "update effects set ended_at = ended_at - interval '8 years', undo_until = null where reverts is null",
    ):
        await past.execute(old)
    await past.forget_runs()
    before = await past.left()
    assert before["effects"] == 2
    assert await past.remove() == {}
    assert await past.left() == before
    await past.age(YEARS_7 + 1)
    assert (await past.remove())["effects"] == 2
    assert await past.left() == {}


@pytest.mark.parametrize("scope", ["organization", "class", "subject"])
async def test_a_legal_hold_stops_it_until_it_is_released(past: Past, scope: str) -> None:
    await past.engine.ended(await past.engine.act("folder.read"))
    await past.forget_runs()
    held = {"class": "operations", "subject": new_id()}.get(scope)
    await past.execute(
        "insert into legal_holds (id, organization_id, scope, target, reason, placed_by) "
        "values (%(id)s, %(org)s, %(scope)s, %(held)s, 'a case', 'x')",
        id=new_id(), org=past.organization_id, scope=scope, held=held,
    )  # fmt: skip
    assert await past.remove() == {}
    await past.execute("update legal_holds set released_at = now()")
    assert (await past.remove())["effects"] == 1


async def test_a_rule_that_people_made_of_a_yes_keeps_what_it_was_made_of(past: Past) -> None:
    await past.ask_people()
    task = await past.engine.act()
    approval = await past.engine.asked(task)
    await past.engine.answer(approval)
    await past.engine.ended(task)
    await past.execute(
        "insert into approval_rules (id, organization_id, name, approval_id, tool, target, max_price, roles, made_by, "
        "made_by_name) values (%(id)s, %(org)s, 'always', %(approval)s, 'folder.append', 'file:file', 0, '{owner}', "
        "'administrator', 'Ada')",
        id=new_id(), org=past.organization_id, approval=approval.id,
    )  # fmt: skip
    await past.forget_runs()
    await past.age(YEARS_7 + 1)
    assert await past.remove() == {}
    await past.execute("update approval_rules set revoked_at = now()")
    assert (await past.remove())["approvals"] == 1
    assert await past.left() == {}


async def test_what_a_crash_left_untold_is_told_by_the_next(past: Past) -> None:
    await past.engine.ended(await past.engine.act("folder.read"))
    await past.forget_runs()
    # One part is done, and its worker dies before it says so.
    await past.engine.database.fetch_one(
        "select effects_remove(%s, 1, now() + interval '1 day', now())",
        ("00000000-0000-0000-0000-000000000000",),
        organization_id=past.organization_id,
    )
    assert await past.told() == []
    removed = await past.remove()
    assert removed["effects"] == 1
    assert await past.told() == [removed]


async def test_nothing_of_another_organization_goes(past: Past) -> None:
    await past.engine.ended(await past.engine.act("folder.read"))
    await past.forget_runs()
    before = await past.left()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert await past.removal.remove(new_id(), months_before=tomorrow, by=new_id()) == {}
    assert await past.left() == before
