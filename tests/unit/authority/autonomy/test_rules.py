"""The rules of promotion and demotion, as pure functions."""

from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from bailiwick.authority.autonomy.model import ACT, NOTICE, OBSERVE, PROPOSE, Counts
from bailiwick.authority.autonomy.rules import (
    AutonomyRules,
    Bar,
    Regression,
    demoted_level,
    missing_for,
    next_level,
)
from bailiwick.authority.model import EffectClass

bars = st.builds(
    Bar,
    bound=st.floats(min_value=0.05, max_value=0.99),
    minimum_trials=st.integers(1, 200),
    minimum_verified=st.integers(0, 50),
)
rules = st.builds(
    AutonomyRules,
    confidence=st.floats(min_value=0.6, max_value=0.999),
    propose=bars,
    notice=bars,
    act=bars,
    refuted_limit=st.integers(1, 5),
)
levels = st.integers(1, 5)
classes = st.sampled_from(get_args(EffectClass))


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    successes, failures = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    return Counts(successes, failures, draw(st.integers(0, successes + failures)))


def regression(before: Counts, *, refuted: int = 0) -> Regression:
    after = Counts(before.successes, before.failures + 1, before.verified + (refuted > 0))
    return Regression(before, after, refuted)


@given(levels, counts(), rules)
def test_a_level_never_rises_without_the_bound(level: int, found: Counts, asked: AutonomyRules) -> None:
    higher = next_level(level, found, asked)
    if higher is None:
        return
    bar = {2: asked.propose, 3: asked.notice, 4: asked.act}[higher]
    assert higher == level + 1
    assert found.trials >= bar.minimum_trials
    assert found.verified >= bar.minimum_verified
    assert stats.beta.ppf(1 - asked.confidence, 1 + found.successes, 1 + found.failures) >= bar.bound - 1e-9


@given(st.sampled_from((4, 5)), counts(), rules)
def test_nothing_is_earned_above_four(level: int, found: Counts, asked: AutonomyRules) -> None:
    assert next_level(level, found, asked) is None


@given(levels, counts(), rules, classes, st.integers(0, 10))
def test_a_regression_never_raises_a_level(
    level: int, before: Counts, asked: AutonomyRules, effect_class: EffectClass, refuted: int
) -> None:
    lower, reason = demoted_level(level, effect_class, regression(before, refuted=refuted), asked)
    assert OBSERVE <= lower <= level
    assert (lower < level) == (reason is not None)


@given(levels, counts(), rules, classes, st.lists(st.integers(0, 10), min_size=2, max_size=2).map(sorted))
def test_demotion_is_monotone_in_refuted_outcomes(
    level: int, before: Counts, asked: AutonomyRules, effect_class: EffectClass, refuted: list[int]
) -> None:
    milder, harder = (
        demoted_level(level, effect_class, regression(before, refuted=count), asked)[0] for count in refuted
    )
    assert harder <= milder


@given(levels, counts(), rules)
def test_who_just_lost_the_bound_has_not_earned_the_level_above(
    level: int, before: Counts, asked: AutonomyRules
) -> None:
    assume(level > OBSERVE)
    happened = regression(before)
    lower, reason = demoted_level(level, "write", happened, asked)
    assume(reason is not None and "refuted" not in reason)
    assert next_level(lower, happened.after, asked) is None


@given(levels, counts(), rules)
def test_what_is_missing_is_said_exactly_where_a_level_is_left_to_earn(
    level: int, found: Counts, asked: AutonomyRules
) -> None:
    is_waiting = level < ACT and next_level(level, found, asked) is None
    assert (missing_for(level, found, asked) is not None) == is_waiting


def test_twenty_acts_right_earn_acting_with_notice_and_nineteen_do_not() -> None:
    asked = AutonomyRules()
    assert next_level(PROPOSE, Counts(19, 0), asked) is None
    assert next_level(PROPOSE, Counts(20, 0), asked) == NOTICE


def test_acting_alone_needs_outcomes_that_were_looked_at_and_not_only_people_who_nodded() -> None:
    asked = AutonomyRules()
    assert next_level(NOTICE, Counts(80, 0, 0), asked) is None
    assert missing_for(NOTICE, Counts(80, 0, 0), asked) == "10 more verified outcomes"
    assert next_level(NOTICE, Counts(80, 0, 10), asked) == ACT


def test_the_successes_said_to_be_missing_are_just_enough() -> None:
    asked = AutonomyRules()
    says = missing_for(PROPOSE, Counts(20, 2), asked)
    assert says == "a lower bound of 0.80 (it is 0.751; 7 successes in a row would do)"
    assert next_level(PROPOSE, Counts(26, 2), asked) is None
    assert next_level(PROPOSE, Counts(27, 2), asked) == NOTICE


def test_a_failure_that_pushes_the_bound_under_the_bar_costs_one_level() -> None:
    asked = AutonomyRules()
    assert demoted_level(NOTICE, "write", regression(Counts(20, 1)), asked) == (
        PROPOSE,
        "the lower bound fell to 0.751, under 0.80",
    )


def test_one_rejection_of_a_beginner_costs_nothing_and_four_in_a_row_do() -> None:
    asked = AutonomyRules()
    assert demoted_level(PROPOSE, "write", regression(Counts(0, 0)), asked) == (PROPOSE, None)
    assert demoted_level(PROPOSE, "write", regression(Counts(0, 3)), asked) == (
        OBSERVE,
        "even the upper bound, 0.451, is under 0.50",
    )


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_destructive_harm_leads_to_observing_at_once(level: int) -> None:
    happened = regression(Counts(500, 0), refuted=1)
    assert demoted_level(level, "destructive", happened, AutonomyRules())[0] == OBSERVE
    assert demoted_level(level, "write", happened, AutonomyRules())[0] == level


def test_refuted_outcomes_that_pile_up_cost_a_level_whatever_the_bound_says() -> None:
    lower, reason = demoted_level(ACT, "write", regression(Counts(5000, 0), refuted=2), AutonomyRules())
    assert (lower, reason) == (NOTICE, "2 outcomes were refuted within 30 days")
