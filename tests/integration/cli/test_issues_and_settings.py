"""Issues and the settings of an organization on the command line, on a database where no worker runs."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
import pytest

from bailiwick.cli.session import operator
from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.repository import Actor, IssueStore
from bailiwick.packs.operations.settings import load_settings
from bailiwick.storage import Database
from tests.integration.cli.conftest import Command

KEY = "acme/shop#7"


@pytest.fixture
def acme(bailiwick: Command, login_url: str) -> str:
    """The id of an organization with one blocked support issue."""
    made = bailiwick("orgs", "create", "Acme", "--json").document["id"]
    record = IssueRecord(
        source="github", repository="acme/shop", number=7, title="The till is down", body="Since nine.", labels=(),
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip

    async def arrive() -> None:
        database = Database(login_url)
        await database.open()
        store = IssueStore(database)
        await store.record(made, record, status="todo", reason="opened")
        await store.set(
            made, KEY, {"department": "support", "operation": "escalations", "priority": 0,
                        "classification": {"confidence": 0.9, "evidence": [{"term": "till"}]}},
        )  # fmt: skip
        await store.move(made, KEY, "blocked", actor=Actor("agent", "Ada"), reason="held: it is P0", made_by="test")
        await database.close()

    asyncio.run(arrive())
    return made


def test_issues_are_listed_by_filter_and_shown_with_why(bailiwick: Command, acme: str):
    def listed(*filters: str) -> list[str]:
        return [
            one["key"] for one in bailiwick("issues", "list", "--org", "acme", "--json", *filters).document["items"]
        ]

    assert listed() == listed("--status", "blocked") == listed("--priority", "p0", "--department", "support") == [KEY]
    assert listed("--status", "done") == listed("--department", "sales") == listed("--priority", "P3") == []
    assert bailiwick("issues", "list", "--status", "stuck").code == 2
    shown = bailiwick("issues", "show", KEY, "--org", "acme", "--json").document
    assert (shown["summary"]["key"], shown["transitions"][-1]["to_status"]) == (KEY, "blocked")
    told = bailiwick("issues", "show", KEY, "--org", "acme").out
    assert all(said in told for said in ("The till is down", "evidence", "till", "90% sure", "held: it is P0"))
    assert bailiwick("issues", "show", KEY).code == 1


def test_only_a_held_issue_is_released_and_the_person_is_told(bailiwick: Command, acme: str, login_url: str):
    release = ("issues", "release", KEY, "--org", "acme", "--decision", "stop", "--reason", "by phone")
    refused = bailiwick(*release)
    assert (refused.code, "not held" in refused.err) == (1, True)

    bailiwick("submit", "sla.sweep", "--org", "acme")
    with psycopg.connect(login_url) as connection:
        connection.execute(
            "update tasks set state = 'waiting', wait_event = 'issue.released', wait_key = %s, run_at = null", (KEY,)
        )
    assert bailiwick(*release[:-4], "--decision", "maybe").code == 2
    done = bailiwick(*release, "--person", "mira", "--json")
    assert {**done.document, "event_id": ""} == {"key": KEY, "decision": "stop", "person": "mira", "event_id": ""}
    (event,) = bailiwick("events", "list", "--org", "acme", "--type", "issue.released", "--json").document["items"]
    assert event["id"] == done.document["event_id"]
    # The work that goes on is asked for by who released it.
    assert set(event["labels"]) == operator().labels


def test_settings_are_checked_before_they_are_kept(bailiwick: Command, acme: str, tmp_path: Path):
    calendar = tmp_path / "calendar.json"
    calendar.write_bytes(orjson.dumps({"timezone": "Europe/Berlin", "weekly": {"mon": ["09:00-17:00"]}}))
    setting = ("orgs", "settings", "set", "acme")

    made = bailiwick(*setting, "sla_seconds.P2=28800", f"calendar=@{calendar}", "hold_seconds.P1=60", "--json")
    assert made.document["settings"]["hold_seconds"] == {"P0": 900.0, "P1": 60.0}
    assert made.document["settings"]["sla_seconds"] == {"P0": 3600, "P1": 14400, "P2": 28800, "P3": 259200}
    for bad in ("sla_seconds.P9=1", "needs_person_below=7", "colour=1", "calendar=always", "calendar", "sla_seconds=3"):
        assert bailiwick(*setting, bad).code == 2
    shown = bailiwick("orgs", "settings", "show", "acme", "--json").document
    assert shown == made.document
    cleared = bailiwick(*setting, "calendar=null", "hold_seconds.P1=null", "--json").document
    assert (cleared["settings"]["calendar"], cleared["settings"]["hold_seconds"]["P1"]) == (None, 3600.0)
    assert "needs_person_below" in bailiwick("orgs", "settings", "show", "acme").out


def test_settings_that_went_bad_in_the_database_say_how_to_mend_them(bailiwick: Command, acme: str, login_url: str):
    with psycopg.connect(login_url) as connection:
        connection.execute(
            """update organizations set settings = '{"operations": {"needs_person_below": "high"}}' where id = %s""",
            (acme,),
        )

    shown = bailiwick("orgs", "settings", "show", "acme")

    assert shown.code == 2
    assert all(said in shown.err for said in ("needs_person_below", "bailiwick orgs settings set"))
    assert bailiwick("orgs", "settings", "set", "acme", "needs_person_below=null").code == 0

    async def loaded() -> float:
        database = Database(login_url)
        await database.open()
        settings = await load_settings(database, acme)
        await database.close()
        return settings.needs_person_below

    assert asyncio.run(loaded()) == 0.4


def test_keys_are_listed_without_themselves_and_limits_name_agents(bailiwick: Command, acme: str):
    key = bailiwick("keys", "create", "ci", "--org", "acme", "--json").document["key"]
    bailiwick("keys", "create", "old", "--admin")
    bailiwick("keys", "revoke", "old")
    listed = bailiwick("keys", "list", "--json")
    assert [(one["name"], one["organization"], one["last_used_at"]) for one in listed.document["items"]] == [
        ("ci", "acme", None)
    ]
    assert key.startswith(listed.document["items"][0]["prefix"])
    assert key not in listed.out
    assert "acme" in bailiwick("keys", "list").out

    agent = bailiwick("agents", "list", "--org", "acme", "--json").document["items"][0]["name"]
    bailiwick("limits", "pause", f"agent:{agent}", "--org", "acme")
    assert f"agent:{agent}" in bailiwick("limits", "list", "--org", "acme").out
    assert bailiwick("limits", "list", "--org", "acme", "--json").document["items"][0]["agent"] == agent


def test_a_connection_tells_who_polls_and_how_often(bailiwick: Command, acme: str):
    made = bailiwick("connect", "github", "acme/shop", "--interval", "60", "--org", "acme")
    assert "system.sync (every 5 min)" in made.err
    assert "not more often than every 60 s" in made.err
    assert "schedules run system.sync --org acme" in made.err

    bailiwick("schedules", "add", "system.sync", "system.sync", "--every", "90", "--org", "acme")
    other = bailiwick("connect", "github", "acme/other", "--org", "acme")
    assert "system.sync (every 90 s)" in other.err
