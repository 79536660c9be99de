"""Bounds of remembered rules hold what they say, and nothing that looks like it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority.approvals.bounds import checked_bounds, within
from bailiwick.kernel.errors import InvalidInputError

_NUMBERS = st.integers(-100, 100) | st.floats(-100, 100)


@given(low=_NUMBERS, high=_NUMBERS, value=_NUMBERS)
def test_a_number_is_within_its_limits(low: float, high: float, value: float) -> None:
    assert within({"n": {"min": low, "max": high}}, {"n": value}) == (low <= value <= high)


@given(value=st.none() | st.booleans() | st.text() | st.lists(st.integers()))
def test_what_is_no_number_is_within_no_limits(value: Any) -> None:
    assert not within({"n": {"min": -1000}}, {"n": value})
    assert not within({"n": {"max": 1000}}, {"n": value})


@given(options=st.lists(st.integers() | st.text()), value=st.integers() | st.text())
def test_one_of_is_one_of(options: list[Any], value: Any) -> None:
    assert within({"n": {"one_of": options}}, {"n": value}) == (value in options)


def test_true_is_not_one() -> None:
    assert not within({"n": {"equals": 1}}, {"n": True})
    assert not within({"n": {"one_of": [0, 1]}}, {"n": False})


def test_an_argument_that_is_not_there_is_within_no_bound() -> None:
    assert not within({"n": {"max": 5}}, {})
    assert within({}, {"n": 5})


@pytest.mark.parametrize(
    "bounds",
    [
        {"n": {}}, {"n": {"like": 1}}, {"m": {"max": 5}}, {"n": {"max": 4}}, {"n": {"max": "9"}}, {"n": {"one_of": 5}},
        {"n": {"max": True}}, {str(number): {"max": 1} for number in range(51)},
    ],
)  # fmt: skip
def test_bounds_that_say_nothing_or_do_not_fit_are_refused(bounds: Any) -> None:
    with pytest.raises(InvalidInputError):
        checked_bounds(bounds, {"n": 5})
