"""Ends of keys as people write them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli.moments import parse_expiry
from bailiwick.kernel.errors import InvalidInputError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", NOW + timedelta(minutes=30)),
        ("12h", NOW + timedelta(hours=12)),
        ("90d", NOW + timedelta(days=90)),
        ("8w", NOW + timedelta(weeks=8)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T18:00+02:00", datetime(2027, 1, 31, 16, tzinfo=UTC)),
    ],
)
def test_spans_and_moments_are_understood(text: str, moment: datetime) -> None:
    assert parse_expiry(text, now=NOW) == moment


@given(st.text(max_size=20))
def test_any_text_is_a_moment_with_a_zone_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        assert parse_expiry(text, now=NOW).tzinfo is not None


def test_a_refusal_shows_how_to_write_it() -> None:
    with pytest.raises(InvalidInputError, match="90d"):
        parse_expiry("soon", now=NOW)
