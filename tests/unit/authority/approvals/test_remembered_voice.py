"""What one person had remembered never stands for the word of several."""

import pytest

from bailiwick.authority.deciding import decide
from bailiwick.authority.model import Remembered
from bailiwick.authority.policy import RuleIndex, read_policy
from tests.support.policies import proposal


@pytest.mark.parametrize(("quorum", "outcome"), [(1, "allow"), (2, "approve"), (3, "approve")])
def test_a_remembered_rule_does_not_stand_for_a_quorum(quorum: int, outcome: str) -> None:
    policy = read_policy(f"rules: [{{name: ask, then: approve, approval: {{quorum: {quorum}}}}}]", version=1)
    decision = decide(RuleIndex(policy), proposal(), 2, remembered=Remembered("greetings", ("owner",)))
    assert decision.outcome == outcome


@pytest.mark.parametrize(("made_by", "asked", "outcome"), [
    (("admin",), "[admin]", "allow"),
    (("owner",), "[admin]", "allow"),
    (("operator",), "[admin]", "approve"),
    (("operator", "owner"), "[admin]", "approve"),
])  # fmt: skip
def test_a_remembered_rule_does_not_stand_for_somebody_more_senior(
    made_by: tuple[str, ...], asked: str, outcome: str
) -> None:
    policy = read_policy(f"rules: [{{name: ask, then: approve, approval: {{roles: {asked}}}}}]", version=1)
    assert decide(RuleIndex(policy), proposal(), 2, remembered=Remembered("greetings", made_by)).outcome == outcome
