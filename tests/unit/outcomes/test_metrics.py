"""The comparison of means agrees with scipy's Welch test, and its verdicts know noise from change."""

from statistics import stdev

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bailiwick.outcomes.metrics import difference, sample_of

points = st.lists(st.floats(min_value=-1000, max_value=1000), min_size=2, max_size=40)


@given(points, points, st.floats(min_value=0.6, max_value=0.999))
def test_bounds_are_those_of_scipys_welch_test(after: list[float], before: list[float], confidence: float) -> None:
    assume(stdev(after) > 1e-3 and stdev(before) > 1e-3)
    lower, upper = difference(sample_of(after, len(after)), sample_of(before, len(before)), confidence)
    theirs = stats.ttest_ind(after, before, equal_var=False).confidence_interval(2 * confidence - 1)
    assert lower == pytest.approx(theirs.low, rel=1e-6, abs=1e-6)
    assert upper == pytest.approx(theirs.high, rel=1e-6, abs=1e-6)


@given(points, st.floats(min_value=-1000, max_value=1000))
def test_against_a_number_it_is_the_test_of_one_sample(after: list[float], level: float) -> None:
    assume(stdev(after) > 1e-3)
    lower, upper = difference(sample_of(after, len(after)), sample_of([level], 1), 0.95)
    theirs = stats.ttest_1samp(after, level).confidence_interval(0.9)
    assert lower == pytest.approx(theirs.low - level, rel=1e-6, abs=1e-6)
    assert upper == pytest.approx(theirs.high - level, rel=1e-6, abs=1e-6)


def test_students_sleep_data_give_the_published_interval() -> None:
    # Student, The Probable Error of a Mean (1908), as in R's help of t.test: Welch's t = -1.8608,
    # 17.776 degrees of freedom, 95 percent interval from -3.3654832 to 0.2054832.
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    lower, upper = difference(sample_of(first, 10), sample_of(second, 10), 0.975)
    assert (round(lower, 7), round(upper, 7)) == (-3.3654832, 0.2054832)


def test_points_without_spread_are_compared_exactly() -> None:
    assert difference(sample_of([3.0, 3.0], 2), sample_of([5.0, 5.0], 2), 0.95) == (-2.0, -2.0)


@given(points)
def test_the_deviation_is_the_unbiased_one(given_points: list[float]) -> None:
    assert sample_of(given_points, 1).deviation == pytest.approx(stdev(given_points), rel=1e-6, abs=1e-6)
