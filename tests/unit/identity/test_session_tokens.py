"""Tokens: unguessable, and a stored successor is readable only with the token before it."""

from contextlib import suppress

from bailiwick.identity.tokens.session_tokens import (
    COOKIE_PREFIX,
    REFRESH_PREFIX,
    csrf_of,
    may_be_token,
    new_token,
    unveiled,
    veiled,
)


def test_tokens_carry_256_bits_and_never_repeat() -> None:
    tokens = {new_token(REFRESH_PREFIX) for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {len(REFRESH_PREFIX) + 43}
    assert all(may_be_token(token) for token in tokens)


def test_a_successor_is_read_with_its_predecessor_only() -> None:
    for _ in range(100):
        first, second, other = (new_token(REFRESH_PREFIX) for _ in range(3))
        stored = veiled(second, first)
        assert unveiled(stored, first) == second
        assert second.removeprefix(REFRESH_PREFIX).encode() not in stored
        with suppress(UnicodeDecodeError):
            assert unveiled(stored, other) != second


def test_the_csrf_token_belongs_to_one_session_and_tells_nothing_of_it() -> None:
    one, other = new_token(COOKIE_PREFIX), new_token(COOKIE_PREFIX)
    assert csrf_of(one) == csrf_of(one) != csrf_of(other)
    assert one.removeprefix(COOKIE_PREFIX) not in csrf_of(one)
