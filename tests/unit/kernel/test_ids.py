"""Identifiers sort by the time they were made, and tell it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.ids import id_at, new_id, parse_id, time_of

moments = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def burst(size: int) -> list[str]:
    return [new_id() for _ in range(size)]


def test_later_ids_sort_later_even_within_a_millisecond() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def ids(count: int) -> list[str]:
    return [new_id() for _ in range(count)]


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [identifier for batch in threads.map(burst, [500] * 16) for identifier in batch]
    assert len(set(made)) == len(made)


def test_an_id_is_a_version_7_uuid_of_now() -> None:
    before = datetime.now(UTC)
    identifier = new_id()
    assert UUID(identifier).version == 7
    assert UUID(identifier).variant == UUID(int=0b10 << 62).variant
    assert timedelta(seconds=-1) < time_of(identifier) - before < timedelta(seconds=1)


@given(moments)
def test_the_bound_of_a_moment_has_that_moment_to_the_millisecond(moment: datetime) -> None:
    assert abs(time_of(id_at(moment)) - moment) < timedelta(milliseconds=1.001)


@given(moments, moments)
def test_bounds_sort_like_their_moments(first: datetime, second: datetime) -> None:
    if first <= second:
        assert id_at(first) <= id_at(second)


def test_the_bound_of_now_lies_below_every_later_id() -> None:
    assert id_at(datetime.now(UTC) - timedelta(milliseconds=1)) < new_id()


@given(st.uuids())
def test_any_spelling_of_an_id_is_read(identifier: UUID) -> None:
    for text in (str(identifier), str(identifier).upper(), identifier.hex, f"{{{identifier}}}"):
        assert parse_id(text) == str(identifier)


@given(st.text(max_size=40))
def test_other_text_is_no_id(text: str) -> None:
    parsed = parse_id(text)
    assert parsed is None or str(UUID(text)) == parsed
