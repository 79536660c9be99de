"""Rewinding on the command line."""

from tests.integration.cli.conftest import Command


def test_a_run_that_changed_nothing_needs_no_rewind(bailiwick: Command) -> None:
    made = bailiwick("submit", "system.health", "--json")
    assert made.code == 0, made.err
    task = made.document["task_id"]
    refused = bailiwick("rewind", task, "--to", "0")
    assert refused.code != 0
    assert f"bailiwick tasks cancel {task}" in refused.err
    assert bailiwick("tasks", "cancel", task).code == 0
    dry = bailiwick("rewind", task, "--to", "0", "--dry-run", "--json")
    assert (dry.code, dry.document["undos"]) == (0, [])
    done = bailiwick("rewind", task, "--to", "0")
    assert done.code == 0
    assert "nothing is left to be taken back" in done.err


def test_a_run_that_is_not_there_is_named(bailiwick: Command) -> None:
    ran = bailiwick("rewind", "0199b6ff-b66f-7000-8000-000000000001", "--to", "0")
    assert ran.code != 0
    assert "0199b6ff-b66f-7000-8000-000000000001" in ran.err


def test_a_rewind_is_asked_for_by_its_own_command_only(bailiwick: Command) -> None:
    wanted = '{"run": "0199b6ff-b66f-7000-8000-000000000001", "to_step": 0}'
    for arguments in (
        ("submit", "run.rewind", "--payload", wanted),
        ("schedules", "add", "again", "run.rewind", "--every", "60", "--payload", wanted),
    ):
        ran = bailiwick(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "bailiwick rewind RUN --to STEP" in ran.err
