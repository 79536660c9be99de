"""What one person had remembered never stands for the word of several."""

import pytest

from bailiwick.authority.deciding import decide
from bailiwick.authority.policy import RuleIndex, read_policy
from tests.support.policies import proposal


@pytest.mark.parametrize(("quorum", "outcome"), [(1, "allow"), (2, "approve"), (3, "approve")])
def test_a_remembered_rule_does_not_stand_for_a_quorum(quorum: int, outcome: str) -> None:
    policy = read_policy(f"rules: [{{name: ask, then: approve, approval: {{quorum: {quorum}}}}}]", version=1)
    decision = decide(RuleIndex(policy), proposal(), 2, remembered="greetings")
    assert decision.outcome == outcome
