"""Which backups the rule keeps."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.recovery.keeping import KeepRule, kept

moments = st.lists(
    st.datetimes(min_value=datetime(2024, 12, 20), max_value=datetime(2026, 2, 10), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    max_size=60,
)
rules = st.builds(KeepRule, st.integers(0, 8), st.integers(0, 5), st.integers(0, 6))


@given(moments, rules)
def test_the_newest_stays_and_the_rule_bounds_the_others(given_moments: list[datetime], rule: KeepRule) -> None:
    stay = kept(given_moments, rule)
    assert stay <= set(given_moments)
    assert len(stay) <= max(1, rule.daily + rule.weekly + rule.monthly)
    assert not given_moments or max(given_moments) in stay


@given(moments, rules)
def test_pruning_again_removes_nothing(given_moments: list[datetime], rule: KeepRule) -> None:
    stay = kept(given_moments, rule)
    assert kept(stay, rule) == stay


@given(moments, rules)
def test_each_of_the_latest_days_weeks_and_months_keeps_its_newest(
    given_moments: list[datetime], rule: KeepRule
) -> None:
    stay = kept(given_moments, rule)
    for count, form in ((rule.daily, "%Y-%m-%d"), (rule.weekly, "%G-%V"), (rule.monthly, "%Y-%m")):
        periods = sorted({f"{one:{form}}" for one in given_moments}, reverse=True)[:count]
        for period in periods:
            newest = max(one for one in given_moments if f"{one:{form}}" == period)
            assert newest in stay


@given(st.integers(1, 500), rules)
def test_pruned_every_day_it_keeps_what_one_pruning_at_the_end_would(days: int, rule: KeepRule) -> None:
    began = datetime(2025, 1, 1, 2, 15, tzinfo=UTC)
    every = [began + timedelta(days=day) for day in range(days)]
    there: set[datetime] = set()
    for moment in every:
        there = kept(there | {moment}, rule)
    # Weeks and months look back on what the days before them kept, so daily pruning loses none that stays.
    assert kept(every, rule) == there


def test_the_usual_rule_after_a_year() -> None:
    every = [datetime(2025, 1, 1, 2, 15, tzinfo=UTC) + timedelta(days=day) for day in range(365)]
    stay = sorted(f"{one:%m-%d}" for one in kept(every, KeepRule(daily=3, weekly=2, monthly=3)))
    assert stay == ["10-31", "11-30", "12-28", "12-29", "12-30", "12-31"]
