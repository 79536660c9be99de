"""What plans, quotas and usage are made of, without a database."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bailiwick.identity.quotas import Bound, Bucket, Rate, Usage, month_of
from bailiwick.identity.quotas.metering import as_csv, month_totals, plain_amount
from bailiwick.identity.quotas.model import (
    checked_bound,
    checked_rate,
    checked_resource,
    following_month,
    quotas_document,
    read_quotas,
)
from bailiwick.kernel.errors import InvalidInputError, QuotaExceededError
from bailiwick.storage.refusals import Exhausted, quota_exceeded

ORGANIZATION = "0199b6ff-b66f-7000-8000-000000000002"


def test_a_month_is_of_utc_whatever_the_clock_on_the_wall_says() -> None:
    # In Auckland it is December already, in Honolulu still October.
    assert month_of(now=datetime.fromisoformat("2026-12-01T08:00:00+13:00")) == date(2026, 11, 1)
    assert month_of(now=datetime.fromisoformat("2026-10-31T20:00:00-10:00")) == date(2026, 11, 1)
    # The hour that daylight saving time repeats belongs to one day and one month all the same.
    for offset in ("+02:00", "+01:00"):
        assert month_of(now=datetime.fromisoformat(f"2026-10-25T02:30:00{offset}")) == date(2026, 10, 1)


def test_months_follow_each_other_over_the_year() -> None:
    assert following_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert following_month(date(2026, 1, 1)) == date(2026, 2, 1)


@pytest.mark.parametrize("text", ["2026", "2026-13", "november", "2026-11-01", ""])
def test_what_is_no_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInputError, match="2026-11"):
        month_of(text)


@pytest.mark.parametrize(
    "bound",
    [Bound(Decimal(5), Decimal(4)), Bound(Decimal(-1)), Bound(hard=Decimal("1.5")), Bound(hard=Decimal("NaN")),
     Bound(hard=Decimal("1e13"))],
)  # fmt: skip
def test_a_bound_that_cannot_hold_is_refused(bound: Bound) -> None:
    with pytest.raises(InvalidInputError, match="tasks"):
        checked_bound("tasks", bound)


def test_money_may_have_fractions() -> None:
    assert checked_bound("model_spend", Bound(Decimal("0.5"), Decimal("1.25"))).hard == Decimal("1.25")


def test_what_is_unknown_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidInputError, match="api_calls, tasks"):
        checked_resource("coffee")
    with pytest.raises(InvalidInputError, match="key, user, organization"):
        checked_rate("planet", Rate(1, 1))
    with pytest.raises(InvalidInputError, match="1 to"):
        checked_rate("key", Rate(0, 1))


def test_bounds_survive_being_kept() -> None:
    bounds = {"model_spend": Bound(Decimal("0.1"), Decimal("99.999999"))}
    assert read_quotas(quotas_document(bounds)) == bounds  # type: ignore[arg-type, comparison-overlap]


def test_a_bucket_names_nobody() -> None:
    key = Bucket("login", "account:anna@example.org").key
    assert "anna" not in key
    assert key == Bucket("login", "account:anna@example.org").key
    assert key != Bucket("address", "account:anna@example.org").key


def test_totals_add_what_is_counted_and_take_the_most_of_what_is_measured() -> None:
    days = [
        Usage(ORGANIZATION, "tasks", date(2026, 11, 1), Decimal(3)),
        Usage(ORGANIZATION, "tasks", date(2026, 11, 2), Decimal(4)),
        Usage(ORGANIZATION, "agents", date(2026, 11, 1), Decimal(9)),
        Usage(ORGANIZATION, "agents", date(2026, 11, 2), Decimal(7)),
    ]
    assert [(total["resource"], total["amount"]) for total in month_totals(days)] == [("agents", 9), ("tasks", 7)]


def test_csv_has_names_and_exact_amounts() -> None:
    days = [Usage(ORGANIZATION, "model_spend", date(2026, 11, 1), Decimal("0.100000"))]
    assert as_csv(days) == (f"organization_id,resource,day,amount\r\n{ORGANIZATION},model_spend,2026-11-01,0.1\r\n")


@pytest.mark.parametrize(
    ("amount", "text"), [("100", "100"), ("100.000000", "100"), ("1E+3", "1000"), ("0.000001", "0.000001"), ("0", "0")]
)
def test_amounts_are_written_plainly(amount: str, text: str) -> None:
    assert plain_amount(Decimal(amount)) == text


def test_a_used_up_quota_says_what_to_do() -> None:
    error = quota_exceeded(ORGANIZATION, "tasks", Decimal(1000), Decimal("1000.000000"))
    now = datetime.now(UTC)
    assert "1,000 of tasks is used up (1,000 used)" in str(error)
    assert "bailiwick quotas set tasks --hard" in str(error)
    assert f"{following_month(now.date().replace(day=1))}" in str(error)
    assert error.http_status == 403
    assert not error.retryable


def test_who_was_refused_a_moment_ago_is_refused_without_asking() -> None:
    exhausted = Exhausted()
    exhausted.check(ORGANIZATION)
    exhausted.note(ValueError("something else"))
    exhausted.check(ORGANIZATION)
    exhausted.note(quota_exceeded(ORGANIZATION, "tasks", None, None))
    with pytest.raises(QuotaExceededError):
        exhausted.check(ORGANIZATION)
    exhausted.check("another")
