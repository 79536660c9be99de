"""The RateLimit header fields, read back by a parser of structured fields (RFC 9651, lists of strings)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.api.rate_limiting import fields_of
from bailiwick.identity.quotas import Rate, RateState

_ITEM = re.compile(r'"(?P<name>[\x20\x21\x23-\x5b\x5d-\x7e]*)"(?P<parameters>(?:;[a-z*][a-z0-9_.*-]*=-?\d{1,15})*)')


def parsed(field: str) -> dict[str, dict[str, int]]:
    """A list of strings with integer parameters; anything else fails."""
    items: dict[str, dict[str, int]] = {}
    rest = field
    while rest:
        found = _ITEM.match(rest)
        assert found, rest
        pairs = [part.split("=") for part in found["parameters"].split(";")[1:]]
        items[found["name"]] = {name: int(value) for name, value in pairs}
        rest = rest[found.end() :]
        if rest:
            separator = re.match(r"[ \t]*,[ \t]*(?=.)", rest)
            assert separator, rest
            rest = rest[separator.end() :]
    return items


states = st.builds(
    RateState,
    st.sampled_from(["key", "user", "organization", "address"]),
    st.builds(Rate, st.integers(1, 1_000_000), st.integers(1, 1_000_000)),
    st.integers(0, 1_000_000),
    st.floats(0, 1e9),
)


@given(st.lists(states, min_size=1, max_size=4, unique_by=lambda state: state.scope))
def test_every_state_can_be_read_back(told: list[RateState]) -> None:
    policy, left = (parsed(field) for field in fields_of(told))
    assert list(policy) == list(left) == [state.scope for state in told]
    for state in told:
        assert policy[state.scope]["q"] == state.rate.burst
        assert policy[state.scope]["w"] >= 1
        assert left[state.scope]["r"] == state.remaining
        assert left[state.scope]["t"] >= state.reset_seconds


def test_the_fields_read_like_the_draft() -> None:
    policy, left = fields_of([RateState("key", Rate(600, 120), 118, 0.2)])
    assert policy == '"key";q=120;w=12'
    assert left == '"key";r=118;t=1'


def test_the_parser_is_strict() -> None:
    for bad in ("key;q=1", '"key";q=1,', '"key" ;q=1', '"key";q=1.5', '"key";Q=1'):
        with pytest.raises(AssertionError):
            parsed(bad)
