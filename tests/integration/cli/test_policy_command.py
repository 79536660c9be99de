"""Policies and explanations on the command line."""

from pathlib import Path

import pytest

from bailiwick.main import main
from tests.integration.cli.conftest import Command

NOTES = """\
rules:
  - name: notes
    because: notes are harmless
    when: {tool: note.write}
    then: allow
  - name: nights
    when: {time: {hours: "22:00-06:00"}}
    then: deny
tests:
  - name: a note
    proposal: {tool: note.write}
    expect: {outcome: allow, rule: notes}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(NOTES, encoding="utf-8")
    return path


def test_a_policy_is_put_shown_compared_and_listed(bailiwick: Command, policy: Path) -> None:
    assert "bailiwick policy put FILE" in bailiwick("policy", "show").err
    put = bailiwick("policy", "put", str(policy), "--note", "begin")
    assert (put.code, "version 1 is in force" in put.err) == (0, True)
    assert bailiwick("policy", "show").out == NOTES
    policy.write_text(NOTES.replace("22:00", "21:00"), encoding="utf-8")
    assert bailiwick("policy", "put", str(policy), "--based-on", "1", "--json").document["version"] == 2
    assert '+    when: {time: {hours: "21:00-06:00"}}' in bailiwick("policy", "diff", "1").out
    history = bailiwick("policy", "history", "--json").document["items"]
    assert [(one["version"], one["note"]) for one in history] == [(2, None), (1, "begin")]
    assert bailiwick("policy", "history").code == 0
    assert bailiwick("policy", "put", str(policy), "--based-on", "1").code == 1


def test_the_ceiling_is_put_and_shown_beside_the_organizations(bailiwick: Command, tmp_path: Path) -> None:
    ceiling = tmp_path / "ceiling.yaml"
    ceiling.write_text("rules:\n- {name: nothing, then: deny}\n", encoding="utf-8")
    built_in = bailiwick("policy", "show", "--ceiling")
    assert (built_in.code, "version 0 by the platform" in built_in.err) == (0, True)
    put = bailiwick("policy", "put", str(ceiling), "--ceiling")
    assert (put.code, "hold no longer: orders-to-agents" in put.err) == (0, True)
    assert "+- {name: nothing" in bailiwick("policy", "diff", "0", "--ceiling").out
    assert "nothing" in bailiwick("policy", "show", "--ceiling").out
    assert bailiwick("policy", "show").code != 0


def test_cases_run_without_a_database_and_failures_show_what_came_out(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    assert main(["policy", "test", str(policy)]) == 0
    told = capsys.readouterr().err
    assert "1 of 1 cases as promised" in told
    assert "no case reached: nights" in told
    more = policy.with_name("more.yaml")
    more.write_text(
        "tests:\n- {name: late, proposal: {tool: note.write, at: '2026-01-07T23:00:00Z'}, expect: allow}\n",
        encoding="utf-8",
    )
    assert main(["policy", "test", str(policy), "--cases", str(more)]) == 1
    shown = capsys.readouterr()
    assert "late (line 2)\n  outcome:\n  - allow\n  + deny\n" in shown.out
    assert "nights: deny" in shown.out


def test_a_policy_that_cannot_be_read_is_refused_with_the_line(bailiwick: Command, policy: Path) -> None:
    policy.write_text(NOTES.replace("then: deny", "then: denny"), encoding="utf-8")
    for command in ("put", "test"):
        refused = bailiwick("policy", command, str(policy))
        assert refused.code == 2
        assert "line 8" in refused.err
        assert "did you mean 'deny'?" in refused.err
    assert bailiwick("policy", "test", str(policy.with_name("none.yaml"))).code == 2


def test_why_of_what_is_not_there_says_so(bailiwick: Command) -> None:
    refused = bailiwick("why", "acme/shop#7")
    assert refused.code == 1
    assert "no effect, decision, approval, task, event or issue 'acme/shop#7'" in refused.err


def test_why_of_a_task_that_proposed_nothing_says_that(bailiwick: Command) -> None:
    task = bailiwick("submit", "sla.sweep", "--json").document["task_id"]
    answer = bailiwick("why", task)
    assert "Nothing was proposed: sla.sweep is available and has proposed nothing so far." in answer.out
    assert bailiwick("why", task, "--json").document["kind"] == "task"
