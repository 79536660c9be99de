"""Budgets on the command line."""

from typing import Any

from tests.integration.cli.conftest import Command


def test_the_command_line_sets_shows_and_removes(bailiwick: Command) -> None:
    bailiwick("agents", "list")
    set_ = bailiwick(
        "budgets", "set", "each-run", "--scope", "run", "--unit", "tokens", "--amount", "20_000",
        "--rung", "0.9:tell", "--rung", "1:stop", "--json",
    )  # fmt: skip
    assert set_.code == 0, set_.err
    made: dict[str, Any] = set_.document
    assert (made["period"], made["amount"], made["ladder"]) == ("life", "20000", ["0.9:tell", "1:stop"])
    listed = bailiwick("budgets", "list")
    assert "each-run" in listed.out
    assert "0.9:tell 1:stop" in listed.out
    shown = bailiwick("budgets", "show", "each-run", "--json").document
    assert (shown["accounts"], shown["held"]) == ([], [])
    assert bailiwick("budgets", "show", "each-run").code == 0
    refused = bailiwick("budgets", "set", "x", "--amount", "1", "--rung", "1:tell")
    assert refused.code == 2
    assert "the last rung stops or asks" in refused.err
    assert bailiwick("budgets", "remove", "each-run").code == 0
    gone = bailiwick("budgets", "remove", "each-run")
    assert gone.code != 0
    assert "bailiwick budgets list" in gone.err
