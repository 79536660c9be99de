"""Real runs with real effects: exported, told, and replayed by the code that made them."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bailiwick.audit import Actor
from bailiwick.audit.keys import AuditKeys
from bailiwick.audit.roots import AuditRoots
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import new_id
from bailiwick.replay.archive import TamperedArchiveError, parse_archive
from bailiwick.replay.bindings import bindings_of
from bailiwick.replay.exporting import RunExporter, Wanted
from bailiwick.replay.present import PresentCode
from bailiwick.replay.recording import RecordedRun, recording_of
from bailiwick.replay.replaying import Replayed
from bailiwick.replay.story import story_of
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Effect
from bailiwick.vault import Vault
from bailiwick.vault.key_file import FixedSource
from bailiwick.vault.providers import LocalKey
from tests.support.acting import ActingEngine, act_once
from tests.support.engine import AnyPayload
from tests.support.vaults import MASTER_KEY

SECRET = "gh" + "p_" + "Z9y8X7w6V5" * 4
WHO = Actor("system", "account:op", "op on the command line")


class Recorder(ActingEngine):
    """An acting engine with an exporter, and the code that replays what it did."""

    def __init__(self, login_url: str, folder: Path) -> None:
        super().__init__(login_url, folder)
        vault = Vault(self.database, FixedSource(LocalKey.from_text(MASTER_KEY, where="a test")))
        self.roots = AuditRoots(self.database, AuditKeys(self.database, vault))
        self.exporter = RunExporter(self.database, self.audit, self.roots)

    async def exported(self, task: str, **wanted: Any) -> bytes:
        """Return the archive of a task."""
        made = await self.exporter.export(
            self.organization_id, "acme", task, wanted=Wanted(**wanted), actor=WHO,
            extensions=[{"name": "tests", "version": "1", "state": "loaded"}],
        )  # fmt: skip
        return made.data

    async def replayed(self, recording: RecordedRun) -> Replayed:
        """Replay by this engine's own code."""
        acting = self.services.acting
        code = PresentCode(kinds=self.kinds, types=self.types, agents={}, tools=self.tools, acting=acting)
        return await code.replay(recording)


@pytest.fixture
async def engine(login_url: str, tmp_path: Path) -> AsyncIterator[Recorder]:
    async with Recorder(login_url, tmp_path) as running:
        running.handles("act", act_once)
        await running.employ()
        await running.work()
        yield running


async def test_a_run_with_an_effect_comes_back_whole_and_replays_the_same(engine: Recorder, tmp_path: Path) -> None:
    task = await engine.act(text="hello")
    await engine.ended(task)
    before = (tmp_path / "file").read_text()
    archive = parse_archive(await engine.exported(task))

    assert archive.is_signed
    assert archive.manifest["run"]["kind"] == "act"
    assert archive.manifest["extensions"] == [{"name": "tests", "version": "1", "state": "loaded"}]
    (effect,) = archive.part("effects")
    assert [move["state"] for move in effect["moves"]] == ["proposed", "executing", "applied", "verified"]
    (decision,) = archive.part("decisions")
    assert decision["proposal"]["arguments"] == {"name": "file", "text": "hello"}
    assert decision["given"]["level"] == 4
    assert {entry["act"]["action"] for entry in archive.part("audit")} >= {"effect.applied"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry["hash"]) for entry in archive.part("audit"))
    (binding,) = bindings_of(archive.parts, has_hidden=bool(archive.hidden))
    assert (binding.computed, binding.is_broken) == ("fits", False)

    found = await engine.replayed(recording_of(archive.parts))
    assert (found.outcome, found.agreed) == ("same", 2)
    assert (tmp_path / "file").read_text() == before


async def test_the_story_says_what_was_asked_decided_done_and_verified(engine: Recorder) -> None:
    task = await engine.act()
    await engine.ended(task)
    told = {moment.title: moment for moment in story_of(parse_archive(await engine.exported(task)).parts)}
    proposal, call = told["step propose folder.append"], told["step apply folder.append"]
    assert dict(proposal.asked)["arguments"] == {"name": "file", "text": "hello"}
    assert dict(proposal.decided)["outcome"] == "allow"
    assert dict(call.done)["state"] == "verified"
    assert dict(call.verified)["evidence"][0]["outcome"] == "verified"
    assert dict(told["the run is completed"].done)["result"]["state"] == "verified"


async def test_another_effect_than_the_recorded_one_diverges_and_no_tool_is_called(
    engine: Recorder, tmp_path: Path
) -> None:
    task = await engine.act(text="hello")
    await engine.ended(task)
    recording = recording_of(parse_archive(await engine.exported(task)).parts)

    async def worse(run: Run, payload: AnyPayload) -> Any:
        acted = await run.act(Effect(payload.tool, {"name": payload.name, "text": "spam"}, "a test wants it"))
        return {"effect_id": acted.effect_id, "state": acted.state, "reason": acted.reason, "result": acted.result}

    before = (tmp_path / "file").read_text()
    engine.handles("worse", worse)
    found = await engine.replayed(replace(recording, task=recording.task._replace(kind="worse")))
    assert (found.outcome, found.seq) == ("diverged", 0)
    assert (found.recorded["text"], found.now["text"]) == ("hello", "spam")
    assert (tmp_path / "file").read_text() == before


async def test_a_declined_effect_is_recorded_with_who_declined_it(engine: Recorder) -> None:
    await engine.autonomy.set_level(
        engine.organization_id, engine.agent_id, "write", 1, actor=Actor("user", new_id(), "Ada"), reason="watch first"
    )
    task = await engine.act()
    ended = await engine.ended(task)
    assert ended["result"]["state"] == "declined"
    archive = parse_archive(await engine.exported(task))
    told = {moment.title: moment for moment in story_of(archive.parts)}
    decided = dict(told["step propose folder.append"].decided)
    assert (decided["outcome"], decided["voice"], decided["is_shadow"]) == ("deny", "shadow", True)
    assert (await engine.replayed(recording_of(archive.parts))).is_same


async def test_secrets_and_people_are_hidden_and_the_story_still_replays(engine: Recorder) -> None:
    task = await engine.add(
        "act",
        {"tool": "folder.append", "name": "file", "text": f"octo@acme.dev uses {SECRET}", "author": "octocat"},
        agent_id=engine.agent_id,
    )
    await engine.ended(task)
    data = await engine.exported(task)
    for planted in (SECRET, "octo@acme.dev", "octocat"):
        assert planted.encode() not in data
    archive = parse_archive(data)
    assert archive.hidden["person"] >= 2
    (binding,) = bindings_of(archive.parts, has_hidden=True)
    assert (binding.computed, binding.is_broken) == ("hidden", False)
    assert (await engine.replayed(recording_of(archive.parts))).is_same
    with_people = await engine.exported(task, keeps_people=True)
    assert b"octo@acme.dev" in with_people
    assert SECRET.encode() not in with_people


async def test_the_audit_proof_is_verified_offline_and_entries_are_held_against_it(engine: Recorder) -> None:
    task = await engine.act()
    await engine.ended(task)
    data = await engine.exported(task, with_audit=True)
    archive = parse_archive(data)
    assert archive.audit is not None
    assert archive.audit.is_intact
    assert archive.audit.entries >= len(archive.part("audit")) > 0
    place = data.index(b'"effect.applied"', data.index(b"bailiwick-audit/1"))
    changed = data[:place] + b'"effect.Applied"' + data[place + len(b'"effect.Applied"') :]
    with pytest.raises(TamperedArchiveError, match=r"audit-proof\.jsonl"):
        parse_archive(changed)


async def test_every_export_is_audited_and_shows_nothing_of_another_organization(engine: Recorder) -> None:
    task = await engine.act()
    await engine.ended(task)
    await engine.exported(task)
    acts = await engine.audit.list(engine.organization_id)
    newest = acts.items[0]
    assert (newest.action, newest.target) == ("run.exported", f"task:{task}")
    with pytest.raises(NotFoundError):
        await engine.exporter.collector.collect(new_id(), task)


async def test_a_waiting_run_can_be_exported_and_is_the_same_so_far(engine: Recorder) -> None:
    async def waits(run: Run, payload: AnyPayload) -> Any:
        await run.step("begin", datetime.now(UTC).isoformat)
        return await run.wait_for("never.comes", key=payload.key)

    engine.knows("never.comes")
    engine.handles("waits", waits)
    task = await engine.add("waits", {"key": "k"})
    await engine.reaches_wait(task, "never.comes")
    archive = parse_archive(await engine.exported(task))
    assert story_of(archive.parts)[-1].title == "the run is waiting"
    found = await engine.replayed(recording_of(archive.parts))
    assert (found.outcome, found.is_cut, found.agreed) == ("same", True, 1)


async def test_children_and_events_are_in_the_archive_and_compared(engine: Recorder) -> None:
    from tests.support import sample_handlers  # noqa: PLC0415 - used by this test alone

    engine.knows("order.priced", "order.paid")
    engine.handles("order", sample_handlers.order)
    engine.handles("ask supplier", sample_handlers.ask_supplier)
    task = await engine.add("order", {"items": ["rye"]})
    row = await engine.reaches_wait(task, "order.paid")
    await engine.inspector.execute("update tasks set run_at = now() where id = %s", (row["id"],))
    await engine.ended(task)
    archive = parse_archive(await engine.exported(task))
    assert [child["payload"] for child in archive.part("children")] == [{"item": "rye"}]
    assert [event["payload"] for event in archive.part("events")] == [{"total": 3}]
    recording = recording_of(archive.parts)
    assert (await engine.replayed(recording)).is_same
    other = replace(recording, task=recording.task._replace(payload={"items": ["emmer"]}))
    assert (await engine.replayed(other)).outcome == "diverged"
