"""What learning and performance analysis say, and what they refuse to say."""

import random
from datetime import UTC, datetime

import pytest

from bailiwick.agents.choice import Candidate, choose
from bailiwick.orchestrator.learning import changes_between
from bailiwick.orchestrator.performance_groups import Group, Sample, compare, describe
from bailiwick.orchestrator.retention import first_kept


def sample(seconds: float, n: int = 60, failures: int = 0, *, seed: int = 1) -> Sample:
    """Return tasks whose durations scatter around a mean."""
    chance = random.Random(seed)  # noqa: S311 - a fixed example
    times = [chance.expovariate(1 / seconds) for _ in range(n)]
    return Sample(n, failures, 0.0, 0, 0, [0.01 + chance.random() / 100 for _ in range(n)], times[failures:])


def group(before: Sample, now: Sample) -> Group:
    return Group("note", None, None, 3600.0, now, before)


class TestPerformance:
    def test_the_same_again_is_no_change(self) -> None:
        assert compare([group(sample(1.0, seed=1), sample(1.0, seed=2))], alpha=0.05) == []

    def test_a_slower_kind_is_a_regression_and_a_faster_one_none(self) -> None:
        (slower,) = compare([group(sample(1.0), sample(3.0, seed=2))], alpha=0.05)
        assert (slower.measure, slower.is_worse) == ("execution", True)
        assert slower.now > slower.before
        assert slower.probability is not None
        assert slower.probability > 0.56
        assert slower.next_step.startswith("open the slowest")
        (faster,) = compare([group(sample(3.0), sample(1.0, seed=2))], alpha=0.05)
        assert not faster.is_worse

    def test_more_failures_are_a_regression(self) -> None:
        (worse,) = compare([group(sample(1.0, 100), sample(1.0, 100, 25, seed=1))], alpha=0.05)
        assert (worse.measure, worse.before, worse.now) == ("failures", 0.0, 0.25)

    def test_a_certain_but_small_change_is_not_reported(self) -> None:
        before = [1.0 + n / 20_000 for n in range(20_000)]
        now = [value + 0.02 for value in before]
        plain = [0.01] * 20_000
        pair = group(Sample(20_000, 0, 0, 0, 0, plain, before), Sample(20_000, 0, 0, 0, 0, plain, now))
        assert compare([pair], alpha=0.05) == []

    def test_many_comparisons_of_nothing_find_nothing(self) -> None:
        groups = [group(sample(1.0, seed=n), sample(1.0, seed=n + 1000)) for n in range(100)]
        # Uncorrected, about ten of these two hundred durations would look changed.
        assert compare(groups, alpha=0.05) == []

    def test_the_largest_change_comes_first(self) -> None:
        groups = [group(sample(1.0), sample(2.5, seed=2)), group(sample(1.0), sample(20.0, seed=2))]
        found = compare(groups, alpha=0.05)
        assert [change.now > 5 for change in found] == [True, False]

    def test_figures_of_a_group_say_what_is_missing(self) -> None:
        figures = describe(group(Sample(), Sample(1, 1)))
        assert figures["failure_share"] == 1.0
        assert figures["execution_p50_seconds"] is None
        assert figures["deadlines_met_share"] is None
        assert isinstance(figures["failure_low"], float)
        assert figures["failure_low"] < 0.25


class TestLearning:
    def test_estimates_are_those_of_the_choice_of_agents(self) -> None:
        outcomes = {"note": {"a": (30, 10), "b": (2, 0)}}
        changes = {change.agent_id: change for change in changes_between({}, outcomes, {"a": "Ada"})}
        chosen = choose([Candidate("a", "Ada", 30, 10, 0, 0, 4), Candidate("b", "b", 2, 0, 0, 0, 4)])
        for weighing in chosen.weighed:
            assert changes[weighing.agent_id].after == pytest.approx(weighing.quality, abs=1e-4)
        assert changes["a"].agent == "Ada"
        assert changes["a"].low < changes["a"].after < changes["a"].high

    def test_a_change_is_clear_only_where_the_old_estimate_is_out_of_reach(self) -> None:
        before = {"note": {"a": (50, 2)}}
        (slight,) = changes_between(before, {"note": {"a": (55, 3)}}, {})
        assert not slight.is_clear
        assert slight.new_outcomes == 6
        (clear,) = changes_between(before, {"note": {"a": (50, 60)}}, {})
        assert clear.is_clear
        assert clear.before is not None
        assert clear.after < clear.before

    def test_a_first_estimate_is_called_one_and_no_change(self) -> None:
        (first,) = changes_between({}, {"note": {"a": (50, 0)}}, {})
        assert (first.before, first.is_clear) == (None, False)

    def test_nothing_new_is_no_change(self) -> None:
        outcomes = {"note": {"a": (5, 1)}}
        assert changes_between(outcomes, outcomes, {}) == []


@pytest.mark.parametrize(
    ("months", "expected"), [(1, (2026, 1, 1)), (2, (2025, 12, 1)), (12, (2025, 2, 1)), (26, (2023, 12, 1))]
)
def test_retention_counts_whole_months(months: int, expected: tuple[int, int, int]) -> None:
    assert first_kept(datetime(2026, 2, 28, 23, 59, tzinfo=UTC), months) == datetime(*expected, tzinfo=UTC)
