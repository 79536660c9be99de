"""Rivals are measured in their fastest way, by the median, and handed over unchanged."""

import asyncio
import importlib.util
import sys
from functools import partial
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.bench.rivals import Measurement, RivalResult, run_rival
from bailiwick.bench.rivals.entry import Findings, Measure, run_entry
from bailiwick.bench.rivals.finishing import Finishing
from bailiwick.bench.rivals.fsync_control import flush_median_us
from bailiwick.bench.rivals.measuring import ROUNDS, Budget, closed_loop, latencies_ms, measure, percentile


async def _taking(per_task_seconds: float, calls: list[int], tasks: int) -> float:
    calls.append(tasks)
    return per_task_seconds * tasks


async def test_every_way_is_tried_and_only_the_fastest_is_counted() -> None:
    slow: list[int] = []
    fast: list[int] = []
    modes = {"slow": partial(_taking, 0.1, slow), "fast": partial(_taking, 0.01, fast)}
    found = await measure("work", modes, in_flight=10, trial_tasks=20, budget=Budget(4.0))
    assert found.mode == "fast"
    assert found.tried_per_second == {"slow": 10.0, "fast": 100.0}
    assert slow == [20]
    assert fast == [20, *[100] * ROUNDS]
    assert found.rounds_per_second == (100.0,) * ROUNDS


async def test_a_counted_round_is_never_smaller_than_what_is_in_flight() -> None:
    calls: list[int] = []
    await measure("work", {"only": partial(_taking, 1.0, calls)}, in_flight=1000, trial_tasks=5, budget=Budget(1.0))
    assert calls == [1000] * ROUNDS


def test_the_quoted_figure_is_the_median_of_the_rounds() -> None:
    assert Measurement("work", "mode", (900.0, 10.0, 100.0), {}).median_per_second == 100.0


async def test_a_closed_loop_runs_each_number_once_and_no_more_at_a_time_than_allowed() -> None:
    seen: list[int] = []
    running = most = 0

    async def one(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        seen.append(number)
        running -= 1

    assert await closed_loop(one, 57, in_flight=8) > 0
    assert sorted(seen) == list(range(57))
    assert most == 8


async def test_latencies_are_taken_at_least_so_many_times_after_a_warm_up() -> None:
    numbers: list[int] = []

    async def one(number: int) -> None:
        numbers.append(number)

    assert len(await latencies_ms(one, seconds=0, fewest=7)) == 7
    assert [number for number in numbers if number >= 0] == list(range(7))
    assert any(number < 0 for number in numbers)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_grows_with_the_share(values: list[float], share: float) -> None:
    figure = percentile(values, share)
    assert figure in [round(value, 3) for value in values]
    assert percentile(values, 0) <= figure <= percentile(values, 1)


async def test_a_task_is_told_finished_from_another_thread() -> None:
    finishing = Finishing()
    first, second = finishing.expect(1), finishing.expect(2)
    await asyncio.to_thread(finishing.done, 2)
    await second
    assert not first.done()


def test_a_result_comes_back_as_it_was_sent() -> None:
    sent = RivalResult(
        "dbos",
        available=True,
        version="3.4.0",
        figures={"one_step_per_second": 400.0},
        measurements=(Measurement("1 step", "async", (1.0, 2.0, 3.0), {"async": 2.0}),),
        server={"fsync": "on"},
        wall_seconds=1.5,
    )
    assert RivalResult.from_json(sent.to_json()) == sent
    assert sent.figure("one_step_per_second") == 400.0
    assert sent.figure("tasks_per_second") is None


def test_a_rival_whose_package_is_missing_says_so_without_being_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> Measure:
        raise AssertionError("must not be loaded")

    monkeypatch.setattr(sys, "argv", ["rival", "--url", "postgresql:///nowhere", "--json"])
    assert run_entry("nobody", load, package="a_package_that_nobody_has") == 0
    document = orjson.loads(capsys.readouterr().out)
    assert document["available"] is False
    assert "a_package_that_nobody_has" in document["reason"]


def test_no_server_is_an_error_that_names_both_ways_to_give_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def unused(url: str, seconds: float) -> Findings:
        raise AssertionError((url, seconds))

    monkeypatch.setattr(sys, "argv", ["rival"])
    monkeypatch.delenv("BAILIWICK_BENCH_URL", raising=False)
    assert run_entry("nobody", lambda: unused) == 2
    assert "--url" in (error := capsys.readouterr().err)
    assert "BAILIWICK_BENCH_URL" in error


async def test_a_rival_that_fails_is_a_result_that_hides_the_password(tmp_path: Path) -> None:
    url = f"postgresql://nobody:not-to-be-shown@/nothing?host={tmp_path}"
    result = await run_rival("bare_loop", url, seconds=1)
    assert not result.available
    assert result.reason is not None
    assert result.reason.startswith("it failed: ")
    assert "not-to-be-shown" not in result.reason


def test_the_control_measures_a_flush_in_the_given_folder(tmp_path: Path) -> None:
    assert flush_median_us(tmp_path, flushes=5) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dbos", "procrastinate"])
def test_rivals_are_not_needed_to_import_the_front_door(name: str) -> None:
    loaded = {module for module in sys.modules if module.partition(".")[0] == name}
    assert importlib.util.find_spec("bailiwick.bench.rivals") is not None
    assert not loaded
