"""CVSS, Luhn, IBAN and interval formulas give the values their publishers state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.intervals import wilson_interval
from bailiwick.packs.operations.departments.cvss import base_score, rating
from bailiwick.packs.operations.departments.figures import (
    find_trend,
    quantile,
    robust_deviations,
    rounded,
    say_duration,
)
from bailiwick.privacy.forms import is_card_number, is_iban, passes_luhn


@pytest.mark.parametrize(
    ("vector", "score", "severity"),
    [
        # FIRST, "CVSS v3.1 Examples" and the NVD entries of the same vulnerabilities.
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, "critical"),  # CVE-2021-44228
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4, "medium"),  # CVE-2013-0375
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1, "low"),  # CVE-2014-3566
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9, "critical"),  # CVE-2012-1516
        ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2, "medium"),  # CVE-2012-0384's neighbours
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5, "high"),  # CVE-2014-0160
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, "medium"),  # CVE-2015-0051 kind: reflected XSS
        ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, "none"),
        ("CVSS:3.0/AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", 9.3, "critical"),  # CVE-2013-6014
        ("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8, "high"),
        ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8, "medium"),
    ],
)
def test_base_score_is_the_published_one(vector: str, score: float, severity: str) -> None:
    found = base_score(vector)
    assert (found.score, found.rating) == (score, severity)


def test_base_score_ignores_temporal_metrics() -> None:
    assert base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O").score == 9.8


@pytest.mark.parametrize(
    "vector",
    [
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "high",
    ],
)
def test_base_score_refuses_what_it_cannot_compute(vector: str) -> None:
    with pytest.raises(InvalidInputError):
        base_score(vector)


_VECTORS = st.builds(
    "CVSS:3.1/AV:{}/AC:{}/PR:{}/UI:{}/S:{}/C:{}/I:{}/A:{}".format,
    st.sampled_from("NALP"), st.sampled_from("LH"), st.sampled_from("NLH"), st.sampled_from("NR"),
    st.sampled_from("UC"), st.sampled_from("HLN"), st.sampled_from("HLN"), st.sampled_from("HLN"),
)  # fmt: skip


@given(_VECTORS)
def test_every_base_score_is_a_tenth_between_0_and_10_and_grows_with_impact(vector: str) -> None:
    found = base_score(vector)
    assert 0 <= found.score <= 10
    assert round(found.score * 10) == pytest.approx(found.score * 10)
    assert found.rating == rating(found.score)
    worst = base_score(vector.rpartition("/C:")[0] + "/C:H/I:H/A:H")
    assert worst.score >= found.score


@pytest.mark.parametrize(("digits", "right"), [("79927398713", True), ("79927398710", False), ("0", True), ("", False)])
def test_luhn_knows_the_textbook_number(digits: str, right: bool) -> None:
    assert passes_luhn(digits) is right


@given(st.text("0123456789", min_size=1, max_size=30), st.data())
def test_luhn_notices_every_single_wrong_digit(digits: str, data: st.DataObject) -> None:
    whole = next(digits + check for check in "0123456789" if passes_luhn(digits + check))
    position = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != whole[position]]))
    assert not passes_luhn(whole[:position] + other + whole[position + 1 :])


@pytest.mark.parametrize(
    ("digits", "right"),
    [
        ("4111111111111111", True),
        ("5555555555554444", True),
        ("378282246310005", True),
        ("4111111111111112", False),
        ("0000000000000000", False),
        ("1234567812345670", False),  # checks out, but no network issues it
    ],
)
def test_card_numbers_are_in_an_issuer_range_and_check_out(digits: str, right: bool) -> None:
    assert is_card_number(digits) is right


@pytest.mark.parametrize(
    ("number", "right"),
    [
        # The registry's own examples.
        ("GB29NWBK60161331926819", True),
        ("DE89370400440532013000", True),
        ("FR1420041010050500013M02606", True),
        ("NO9386011117947", True),
        ("GB29NWBK60161331926818", False),
        ("DE8937040044053201300", False),
        ("XX89370400440532013000", False),
    ],
)
def test_ibans_have_their_country_length_and_check_out(number: str, right: bool) -> None:
    assert is_iban(number) is right


def test_wilson_interval_has_the_published_values() -> None:
    # Newcombe (1998), table I: 81 of 263 and 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_interval_contains_the_share(successes: int, failures: int) -> None:
    low, high = wilson_interval(successes, successes + failures)
    share = successes / (successes + failures) if successes + failures else 0.5
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_a_trend_is_clear_only_when_its_interval_excludes_zero() -> None:
    rising = find_trend([float(value) for value in range(20)])
    assert rising is not None
    assert rising.slope == pytest.approx(1)
    assert rising.direction == "rising"
    flat = find_trend([1.0, 5, 2, 4, 3, 3, 4, 2, 5, 1])
    assert flat is not None
    assert flat.direction == "no clear trend"
    assert find_trend([1.0, 2, 3]) is None


def test_robust_deviations_single_out_the_outlier_even_when_half_is_equal() -> None:
    spread = robust_deviations(np.array([1.0, 2, 3, 4, 100]))
    assert abs(spread[-1]) > 3.5
    assert np.abs(spread[:-1]).max() < 3.5
    mostly_equal = robust_deviations(np.array([5.0] * 9 + [50]))
    assert abs(mostly_equal[-1]) > 3.5
    assert not robust_deviations(np.array([5.0, 5, 5])).any()


def test_figures_are_said_and_rounded_as_people_read_them() -> None:
    assert [say_duration(seconds) for seconds in (30, 600, 7200, 400_000)] == ["30 s", "10 min", "2.0 h", "4.6 days"]
    assert rounded(0.000123456) == 0.0001235
    assert rounded(float("nan")) is None
    assert quantile([], 0.5) is None
