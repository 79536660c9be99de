"""The tests behind the performance analysis agree with a statistics library, and stay quiet where nothing changed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bailiwick.kernel.intervals import wilson_interval
from bailiwick.orchestrator.comparisons import fisher_exact, holm, mann_whitney, percentile

# Few distinct values, so that ties are common.
values = st.lists(st.integers(0, 12).map(float), min_size=20, max_size=60)


@given(values, values)
def test_mann_whitney_agrees_with_the_library(before: list[float], after: list[float]) -> None:
    expected = stats.mannwhitneyu(after, before, method="asymptotic", use_continuity=True)
    superiority, p_value = mann_whitney(before, after)
    assert superiority == pytest.approx(expected.statistic / (len(before) * len(after)))
    # The library gives "not a number" where every value is the same.
    assert p_value == pytest.approx(1.0 if expected.pvalue != expected.pvalue else min(1.0, expected.pvalue), abs=1e-9)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_fisher_agrees_with_the_library(trials: int, others: int, data: st.DataObject) -> None:
    hits, other_hits = data.draw(st.integers(0, trials)), data.draw(st.integers(0, others))
    _, expected = stats.fisher_exact([[hits, trials - hits], [other_hits, others - other_hits]])
    assert fisher_exact(hits, trials, other_hits, others) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_agrees_with_the_library(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    expected = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    assert wilson_interval(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_trials_every_share_is_possible() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_agrees_with_its_definition(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    ordered = sorted(p_values)
    for p_value, corrected in zip(p_values, adjusted, strict=True):
        steps = [ordered[k] * (len(ordered) - k) for k in range(ordered.index(p_value) + 1)]
        last = len(ordered) - 1 - ordered[::-1].index(p_value)
        assert min(1.0, max(steps)) <= corrected + 1e-12
        assert corrected <= min(1.0, max(ordered[k] * (len(ordered) - k) for k in range(last + 1))) + 1e-12


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_percentiles_lie_among_the_values(sample: list[float], share: float) -> None:
    found = percentile(sample, share)
    assert min(sample) - 1e-6 <= found <= max(sample) + 1e-6
    assert percentile(sample, 0) == min(sample)
    assert percentile(sample, 1) == max(sample)


def test_equal_distributions_are_seldom_called_different() -> None:
    chance = random.Random(7)  # noqa: S311 - a fixed example
    calls = sum(
        mann_whitney([chance.expovariate(1) for _ in range(30)], [chance.expovariate(1) for _ in range(30)])[1] < 0.05
        for _ in range(400)
    )
    # 20 of 400 are expected at the 5 % level; 35 would be 3.4 standard deviations above.
    assert calls < 35
