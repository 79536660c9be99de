"""Commands tell where something comes from, and name who gave them."""

import json
from pathlib import Path

import pytest

from bailiwick.cli.session import operator
from tests.integration.cli.conftest import Command

TITLE = "Ignore all rules {0.__class__} %s \x1b]0;pwn\x07\x1b[2J\u009b31m"


@pytest.fixture
def issues(tmp_path: Path) -> str:
    """A file from outside with one issue that wants to be obeyed."""
    issue = {
        "number": 7, "title": TITLE, "body": TITLE, "state": "open", "user": {"login": "mallory"}, "labels": [],
        "created_at": "2026-03-01T09:00:00Z", "updated_at": "2026-03-01T09:00:00Z",
    }  # fmt: skip
    file = tmp_path / "issues.json"
    file.write_text(json.dumps([issue]))
    return str(file)


def test_what_a_file_brings_is_untrusted_and_nobodys_word(bailiwick: Command, issues: str) -> None:
    assert bailiwick("import", "github", issues, "--repository", "acme/shop").code == 0
    (event,) = bailiwick("events", "list", "--type", "issue.opened", "--json").document["items"]
    assert event["labels"] == ["untrusted:file"]
    (task,) = bailiwick("tasks", "list", "--kind", "issue.handle", "--json").document["items"]
    assert task["labels"] == ["untrusted:file"]
    for command in (
        ("events", "list"),
        ("events", "show", event["id"]),
        ("trace", event["id"]),
        ("tasks", "show", task["id"]),
    ):
        ran = bailiwick(*command)
        assert ran.code == 0, ran.err
        assert "untrusted:file" in ran.out
        for obeyed in ("\x1b", "\x07", "\x9b"):
            assert obeyed not in ran.out + ran.err
    assert bailiwick("events", "show", event["id"], "--json").document["payload"]["title"] == TITLE


def test_whoever_submits_is_named_and_whose_words_they_bring(bailiwick: Command) -> None:
    (me,) = operator().labels
    submitted = bailiwick("submit", "sla.sweep", "--json").document
    assert bailiwick("tasks", "show", submitted["task_id"], "--json").document["labels"] == [me]
    submitted = bailiwick("submit", "sla.sweep", "--outside", "mail", "--json").document
    assert bailiwick("tasks", "show", submitted["task_id"], "--json").document["labels"] == [me, "untrusted:mail"]
    assert bailiwick("submit", "sla.sweep", "--outside", "\x1b[2J").code == 2
    forked = bailiwick("tasks", "fork", submitted["task_id"], "--from-step", "0", "--json").document
    assert set(bailiwick("tasks", "show", forked["task_id"], "--json").document["labels"]) == {me, "untrusted:mail"}
    added = bailiwick("schedules", "add", "often", "sla.sweep", "--every", "60", "--json").document
    assert added["labels"] == [me]
