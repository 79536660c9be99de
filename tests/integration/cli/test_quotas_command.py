"""``bailiwick quotas`` and ``bailiwick usage``."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.integration.cli.conftest import Command


def test_quotas_are_shown_set_and_returned_to_the_plan(bailiwick: Command) -> None:
    shown = bailiwick("quotas", "show", "--json").document
    assert shown["plan"] == "unlimited"
    bounded = bailiwick("quotas", "set", "tasks", "--soft", "8,000", "--hard", "10_000", "--json").document
    tasks = next(quota for quota in bounded["quotas"] if quota["resource"] == "tasks")
    assert (tasks["soft"], tasks["hard"], tasks["origin"]) == ("8000", "10000", "organization")
    assert "8000" in bailiwick("quotas", "show").out
    back = bailiwick("quotas", "reset", "tasks", "--json").document
    assert next(quota for quota in back["quotas"] if quota["resource"] == "tasks")["hard"] is None


def test_plans_are_made_assigned_and_removed(bailiwick: Command) -> None:
    made = bailiwick(
        "quotas", "plans", "set", "starter", "--quota", "tasks=800:1000", "--quota", "model_spend=:12.50",
        "--rate", "key=60:10", "--rate", "user=unlimited", "--description", "For small teams", "--json",
    ).document  # fmt: skip
    assert made["quotas"]["model_spend"] == {"soft": None, "hard": "12.50"}
    assert made["rates"] == {"key": {"per_minute": 60, "burst": 10}, "user": None}
    assert "starter" in bailiwick("quotas", "plans", "list").out
    assert bailiwick("quotas", "assign", "starter", "--json").document["plan"] == "starter"
    refused = bailiwick("quotas", "plans", "remove", "starter")
    assert refused.code == 1
    assert "bailiwick quotas assign" in refused.err
    bailiwick("quotas", "assign", "unlimited")
    assert bailiwick("quotas", "plans", "remove", "starter", "--json").document == {"removed": "starter"}


def test_rates_are_set_and_lifted(bailiwick: Command) -> None:
    set_to = bailiwick("quotas", "rate", "key", "--per-minute", "30", "--json").document
    assert set_to["rates"]["key"] == {"per_minute": 30, "burst": 30}
    assert bailiwick("quotas", "rate", "key", "--unlimited", "--json").document["rates"]["key"] is None
    assert bailiwick("quotas", "rate", "key", "--json").document["rates"]["key"]["per_minute"] == 600


def test_what_cannot_hold_is_refused_with_the_next_step(bailiwick: Command) -> None:
    for arguments, expected in (
        (("quotas", "set", "coffee", "--hard", "1"), "api_calls, tasks"),
        (("quotas", "set", "tasks", "--hard", "many"), "no number"),
        (("quotas", "assign", "gold"), "there are: unlimited"),
        (("quotas", "rate", "planet", "--per-minute", "1"), "key, user, organization"),
        (("quotas", "plans", "set", "x", "--quota", "tasks"), "tasks=8000:10000"),
        (("usage", "show", "--month", "november"), "2026-11"),
    ):
        ran = bailiwick(*arguments)
        assert ran.code != 0
        assert expected in ran.err, arguments


def test_usage_is_shown_and_exported(bailiwick: Command, tmp_path: Path) -> None:
    # Furnishing the home organization and submitting a task leave something to bill.
    bailiwick("agents", "list")
    submitted = bailiwick("submit", "meter.check", "--payload", '{"meter_id": "m-1"}', "--json")
    assert submitted.code == 0, submitted.err
    month = f"{datetime.now(UTC):%Y-%m}"
    shown = bailiwick("usage", "show", "--json").document
    assert shown["month"] == month
    assert {total["resource"]: total["amount"] for total in shown["totals"]}["tasks"] == "1"
    rows = list(csv.DictReader(io.StringIO(bailiwick("usage", "export", "--month", month).out)))
    assert [(row["resource"], row["amount"]) for row in rows] == [("tasks", "1")]
    document = bailiwick("usage", "export", "--format", "json", "--org", "home").document
    assert document["days"][0]["amount"] == "1"
    target = tmp_path / "usage.json"
    assert bailiwick("usage", "export", "--json", "--out", str(target)).code == 0
    assert orjson.loads(target.read_bytes()) == document
    assert bailiwick("usage", "show", "--month", "2020-01").code == 0
