"""The ceiling that comes with the platform."""

from bailiwick.authority.cases import run_cases
from bailiwick.authority.policy.built_in import built_in_ceiling_source
from bailiwick.authority.policy.reading import read_policy


def test_the_built_in_ceiling_keeps_its_own_promises() -> None:
    policy = read_policy(built_in_ceiling_source(), is_ceiling=True)
    report = run_cases(policy, is_ceiling=True)
    assert report.results
    assert report.is_passed, report.failures
