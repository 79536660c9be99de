"""Retries come back off, stay within bounds and end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.tasks import RetryPolicy

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 30),
    first_delay_seconds=st.floats(0.01, 60),
    factor=st.floats(1, 8),
    max_delay_seconds=st.floats(60, 86_400),
    jitter=st.floats(0, 0.5),
)


@given(policies, st.integers(1, 40))
def test_a_delay_lies_within_its_jitter_or_the_policy_gives_up(policy: RetryPolicy, failures: int) -> None:
    delay = policy.delay_seconds(failures)
    if failures >= policy.max_attempts:
        assert delay is None
    else:
        plain = min(policy.first_delay_seconds * policy.factor ** (failures - 1), policy.max_delay_seconds)
        assert delay == pytest.approx(plain, rel=policy.jitter + 1e-9)
        assert delay is not None
        assert delay > 0


def test_the_default_policy_tries_five_times_over_about_a_minute_and_a_half() -> None:
    policy = RetryPolicy(jitter=0)
    assert [policy.delay_seconds(failures) for failures in range(1, 6)] == [1, 4, 16, 64, None]


def test_one_attempt_means_no_retry() -> None:
    assert RetryPolicy(max_attempts=1).delay_seconds(1) is None
