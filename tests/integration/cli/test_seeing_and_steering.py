"""Listings and changes, on a database where no worker runs."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.cli.conftest import Command


def submitted(bailiwick: Command, *more: str) -> str:
    return bailiwick("submit", "sla.sweep", "--json", *more).document["task_id"]


def test_a_task_is_submitted_listed_shown_and_moved(bailiwick: Command):
    task_id = submitted(bailiwick, "--priority", "0", "--key", "once")
    assert bailiwick("submit", "sla.sweep", "--key", "once", "--json").document == {
        "task_id": task_id, "is_new": False, "state": "available", "result": None, "reason": None,
    }  # fmt: skip

    listed = bailiwick("tasks", "list", "--json").document
    shown = bailiwick("tasks", "show", task_id, "--json").document
    assert [(one["id"], one["priority"]) for one in listed["items"]] == [(task_id, 0)]
    assert (shown["kind"], shown["steps"]) == ("sla.sweep", [])
    assert bailiwick("tasks", "pause", task_id, "--json").document == {"paused": [task_id]}
    assert bailiwick("tasks", "resume", task_id, "--json").document == {"resumed": [task_id]}
    assert bailiwick("tasks", "cancel", task_id, "--json").document == {"cancelled": [task_id]}
    assert bailiwick("tasks", "cancel", task_id).code == 1
    assert bailiwick("tasks", "redrive", "--state", "cancelled", "--yes", "--json").document == {"redriven": [task_id]}


def test_a_bulk_change_by_filter_wants_a_yes(bailiwick: Command):
    task_id = submitted(bailiwick)

    unsure = bailiwick("tasks", "cancel", "--kind", "sla.sweep")

    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    assert bailiwick("tasks", "show", task_id, "--json").document["state"] == "available"


def test_unknown_kinds_agents_and_organizations_name_the_known_ones(bailiwick: Command):
    kind = bailiwick("submit", "issue.handel")
    organization = bailiwick("tasks", "list", "--org", "nobody")
    agent = bailiwick("agents", "create", "wizard", "Merlin")

    assert (kind.code, "issue.handle" in kind.err) == (2, True)
    assert (organization.code, "there are: home" in organization.err) == (1, True)
    assert (agent.code, "support" in agent.err) == (2, True)


def test_a_payload_that_does_not_fit_says_what_is_wrong(bailiwick: Command):
    ran = bailiwick("submit", "issue.handle", "--payload", '{"number": "seven"}')

    assert ran.code == 2
    assert "number" in ran.err
    assert "title" in ran.err


def test_organizations_keys_and_agents(bailiwick: Command):
    made = bailiwick("orgs", "create", "Acme Shops", "--json").document
    assert made["slug"] == "acme-shops"
    assert {one["slug"] for one in bailiwick("orgs", "list", "--json").document["items"]} == {"acme-shops", "home"}
    key = bailiwick("keys", "create", "ci", "--org", "acme-shops", "--json").document["key"]
    assert re.fullmatch(r"bw_[\w-]{43}", key)
    assert bailiwick("keys", "revoke", "ci", "--json").document == {"revoked": "ci", "count": 1}
    assert bailiwick("keys", "revoke", "ci").code == 1
    agents = bailiwick("agents", "list", "--org", "acme-shops", "--json").document["items"]
    assert {"name", "kind", "tasks", "completed", "p50_seconds", "p95_seconds", "in_hand"} <= agents[0].keys()
    name = agents[0]["name"]
    assert bailiwick("agents", "disable", name, "--org", "acme-shops", "--json").document["is_enabled"] is False
    assert bailiwick("agents", "show", name, "--org", "Acme Shops", "--json").document["is_enabled"] is False


def test_schedules_and_limits(bailiwick: Command):
    added = bailiwick("schedules", "add", "nightly", "sla.sweep", "--cron", "0 2 * * *", "--json")
    assert (added.document["name"], added.document["cron"]) == ("nightly", "0 2 * * *")
    assert bailiwick("schedules", "pause", "nightly", "--json").document["is_paused"] is True
    assert bailiwick("schedules", "add", "bad", "sla.sweep").code == 2
    assert bailiwick("schedules", "remove", "nightly", "--json").document["name"] == "nightly"
    limit = bailiwick("limits", "set", "kind:sla.sweep", "--concurrency", "2", "--json").document
    assert (limit["subject"], limit["max_concurrency"]) == ("kind:sla.sweep", 2)
    assert bailiwick("limits", "pause", "kind:sla.sweep", "--json").document["is_paused"] is True
    assert bailiwick("limits", "set", "everything").code == 2


def test_listings_show_tables_without_colour_codes_in_a_pipe(bailiwick: Command):
    task_id = submitted(bailiwick)

    for command in (("tasks", "list"), ("agents", "list"), ("schedules", "list"), ("orgs", "list"), ("events", "list")):
        ran = bailiwick(*command)
        assert ran.code == 0
        assert "\x1b" not in ran.out
    assert task_id in bailiwick("tasks", "list").out


class _Answers(BaseHTTPRequestHandler):
    """A server whose every answer is one document."""

    document = b"{}"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.document)))
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(("document", "state"), [(b'{"status":"alive"}', "ok"), (b"hello", "warn")])
def test_doctor_tells_its_own_server_from_anothers(
    bailiwick: Command, monkeypatch: pytest.MonkeyPatch, document: bytes, state: str
):
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Answers,), {"document": document})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv("BAILIWICK_PORT", str(server.server_port))
            checks = bailiwick("doctor", "--json").document["checks"]
        finally:
            server.shutdown()
            thread.join()
    assert [check["state"] for check in checks if check["name"] == "port"] == [state]


def test_doctor_finds_a_missing_worker_and_a_missing_database(bailiwick: Command, monkeypatch):
    healthy = bailiwick("doctor", "--json")
    checks = {check["name"]: check for check in healthy.document["checks"]}
    assert checks["workers"]["state"] == "warn"
    assert checks["workers"]["next_step"]
    assert checks["clock"]["state"] == "ok"

    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:1/none")
    broken = bailiwick("doctor", "--json")
    listing = bailiwick("tasks", "list")

    assert (broken.code, broken.document["status"]) == (1, "fail")
    assert "127.0.0.1" in broken.out
    assert listing.code == 75
    assert "hunter2" not in broken.out + broken.err + listing.err
