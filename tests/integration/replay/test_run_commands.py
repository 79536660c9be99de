"""The flight recorder and rehearsals on the command line, on real runs of the platform's own kinds."""

import asyncio
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bailiwick.installation import Installation, Settings
from bailiwick.kernel.ids import new_id
from bailiwick.tasks import NewTask
from tests.integration.cli.conftest import Command
from tests.support.engine import until
from tests.support.vaults import MASTER_KEY


@pytest.fixture
def run_id(login_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A health check that really ran in the home organization."""
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", MASTER_KEY)

    async def made() -> str:
        settings = Settings(database_url=SecretStr(login_url))
        async with Installation.open(settings) as platform:
            await platform.first_start()
            home = await platform.home()
            async with platform.run_worker():
                task = (await platform.queue.enqueue(home.id, NewTask("system.health"))).task_id

                async def ended() -> bool:
                    return (await platform.tasks.get(home.id, task)).state.is_final

                await until(ended, "the health check ends", seconds=30)
            return task

    return asyncio.run(made())


@pytest.fixture
def archive(bailiwick: Command, run_id: str, tmp_path: Path) -> Path:
    """Its archive."""
    out = tmp_path / "health.run.zip"
    ran = bailiwick("run", "export", run_id, "-o", str(out))
    assert ran.code == 0, ran.err
    assert "step through it with" in ran.err
    return out


@pytest.fixture
def offline(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive where there is no installation: the address of the database is nobody's."""
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.delenv("BAILIWICK_MASTER_KEY")
    return archive


def test_an_archive_opens_and_tells_its_story_without_an_installation(bailiwick: Command, offline: Path) -> None:
    told = bailiwick("run", "open", str(offline))
    assert told.code == 0, told.err
    assert "every part as it was written, signed" in told.out
    assert "step measure" in told.out
    assert "the run is completed" in told.out
    document = bailiwick("run", "open", str(offline), "--json").document
    assert document["manifest"]["run"]["kind"] == "system.health"
    assert [moment["seq"] for moment in document["moments"] if moment["seq"] is not None] == [0, 1, 2]


def test_an_archive_is_readable_by_its_owner_alone(archive: Path) -> None:
    assert oct(archive.stat().st_mode & 0o777) == "0o600"


def test_a_tampered_archive_is_refused_by_the_name_of_the_part(bailiwick: Command, offline: Path) -> None:
    data = bytearray(offline.read_bytes())
    place = data.index(b'"measure"')
    data[place + 1] ^= 1
    offline.write_bytes(data)
    for command in ("open", "test"):
        ran = bailiwick("run", command, str(offline))
        assert ran.code == 2
        assert "journal.jsonl" in ran.err


def test_an_archive_of_another_installation_is_refused_where_a_key_is_asked_for(
    bailiwick: Command, archive: Path
) -> None:
    key = bailiwick("audit", "key", "--json").document
    public = key["public_key"] if isinstance(key, dict) else key[-1]["public_key"]
    assert bailiwick("run", "open", str(archive), "--key", public).code == 0
    other = "A" * 43 + "="
    ran = bailiwick("run", "open", str(archive), "--key", other)
    assert ran.code == 2
    assert "another installation" in ran.err


def test_an_archive_becomes_a_regression_test_by_one_command(bailiwick: Command, offline: Path, tmp_path: Path) -> None:
    kept = tmp_path / "recorded"
    first = bailiwick("run", "test", str(offline), "--save", str(kept))
    assert (first.code, first.out.split()[0]) == (0, "same"), first.err
    report = tmp_path / "junit.xml"
    all_of_them = bailiwick("run", "test", str(kept), "--json", "--junit", str(report))
    assert all_of_them.code == 0
    assert [(one["kind"], one["outcome"]) for one in all_of_them.document] == [("system.health", "same")]
    suite = ET.fromstring(report.read_bytes())  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")


def test_a_changed_handler_diverges_with_both_sides_and_exit_code_1(
    bailiwick: Command, offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bailiwick.orchestrator.health import HealthCheck  # noqa: PLC0415 - changed in this test alone

    async def changed(self: Any, run: Any, payload: Any) -> Any:
        del self, payload
        return await run.step("weigh", never)

    monkeypatch.setattr(HealthCheck, "handle", changed)
    report = tmp_path / "junit.xml"
    ran = bailiwick("run", "test", str(offline), "--junit", str(report))
    assert ran.code == 1
    assert "diverged" in ran.out
    assert "recorded: step 'measure'" in ran.out
    assert "now:      step 'weigh'" in ran.out
    assert ET.fromstring(report.read_bytes()).get("failures") == "1"  # noqa: S314 - our own file


def never() -> Any:
    raise AssertionError("a replay ran a step")


def test_what_is_not_there_is_said_with_a_next_step(bailiwick: Command, run_id: str, tmp_path: Path) -> None:
    missing = bailiwick("run", "export", new_id())
    assert missing.code == 1
    assert "bailiwick tasks list" in missing.err
    assert bailiwick("run", "open", str(tmp_path / "nothing")).code == 1
    empty = bailiwick("run", "test", str(tmp_path))
    assert empty.code == 2
    assert "--save" in empty.err


def test_a_rehearsal_of_nothing_is_refused_and_a_candidate_must_be_an_agent(
    bailiwick: Command, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - {name: anything, then: allow}\n")
    ran = bailiwick("rehearse", "policy", str(policy))
    assert ran.code == 1
    assert "nothing could be compared" in ran.out
    gated = bailiwick("policy", "put", str(policy), "--rehearsed", "0")
    assert gated.code == 1
    assert "refused by its rehearsal" in gated.err
    assert bailiwick("policy", "show").code == 1
    monkeypatch.chdir(tmp_path)
    name = f"candidate_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text("class NoAgent:\n    pass\n")
    for reference, reason in ((f"{name}:NoAgent", "no class of agents"), ("gone:X", "cannot be imported")):
        refused = bailiwick("rehearse", "agent", "support", "--candidate", reference)
        assert refused.code == 2
        assert reason in refused.err
    assert bailiwick("rehearse", "agent", "support").code == 1
    assert bailiwick("rehearse", "agent", "nobody").code == 2
