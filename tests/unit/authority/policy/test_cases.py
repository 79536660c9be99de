"""A policy's own tests: what failed is shown with both values, and what cannot be run is no pass."""

import pytest

from bailiwick.authority.cases import explained, run_cases
from bailiwick.authority.policies import PolicyTestsFailedError, checked_policy
from bailiwick.authority.policy import read_policy

RULES = """\
rules:
  - {name: cheap, when: {tool: shop.order, price: {at_most: 10}}, then: allow}
  - {name: asks, when: {labels: "untrusted:*"}, then: approve, approval: {quorum: 2, roles: [owner]}}
  - {name: never, when: {agent: {kind: guest}}, then: deny}
"""


def _tests(*cases: str) -> str:
    return RULES + "tests:\n" + "".join(f"  - {{{case}}}\n" for case in cases)


def test_cases_say_what_is_known_and_what_must_come_of_it() -> None:
    report = run_cases(
        read_policy(
            _tests(
                "proposal: {tool: shop.order, class: spend, price: 10}, expect: {outcome: allow, rule: cheap}",
                "proposal: {tool: shop.order, price: 10.01}, expect: {outcome: approve, rule: 'level:2'}",
                "proposal: {labels: ['untrusted:mail']}, expect: {outcome: approve, quorum: 2, roles: owner}",
                "proposal: {agent: {kind: guest}}, given: {level: 5}, expect: deny",
                "proposal: {agent: null}, expect: {outcome: deny, voice: unknown}",
                "proposal: {tool: a}, given: {level: 1}, expect: {outcome: deny, shadow: true}",
                "proposal: {tool: a}, given: {level: 3}, expect: {outcome: allow, notice: true}",
                "proposal: {tool: a, subject: '7', purpose: marketing}, given: {consent: missing}, expect: deny",
                "proposal: {tool: a}, given: {level: 4, budget: ask, remembered: mine}, expect: {outcome: allow, "
                "rule: 'remembered:mine'}",
                "proposal: {tool: a, reversible: false}, given: {level: 5}, expect: {outcome: approve, rule: floor}",
            )
        )
    )
    assert report.is_passed, [line for result in report.failures for line in explained(result)]
    assert report.unreached == ()


def test_a_failure_shows_both_values_and_everything_that_was_said() -> None:
    report = run_cases(read_policy(_tests("name: dear, proposal: {tool: shop.order, price: 11}, expect: allow")))
    assert not report.is_passed
    (result,) = report.failures
    assert explained(result) == [
        "dear (line 6)", "  outcome:", "  - allow", "  + approve", "  what was said:",
        "    level:2: approve, level 2 (propose) and write",
    ]  # fmt: skip
    assert report.unreached == ("cheap", "asks", "never")


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("proposal: {price: dear}, expect: allow", "price is an amount of money"),
        ("proposal: {at: noon}, expect: allow", "at is a moment"),
        ("proposal: {risk: high}, expect: allow", "risk is a number"),
        ("proposal: {agent: 7}, expect: allow", "agent is a name"),
        ("proposal: {arguments: [1]}, expect: allow", "arguments is a mapping"),
        ("proposal: {reversible: often}, expect: allow", "reversible is true or false"),
        ("proposal: {tool: a}, given: {consent: perhaps}, expect: allow", "given.consent is granted or missing"),
        ("proposal: {tool: a}, given: {budget: some}, expect: allow", "given.budget is ok, ask or deny"),
        ("proposal: {tool: a}, given: {level: high}, expect: allow", "given.level is a number from 1 to 5"),
    ],
)
def test_a_case_that_cannot_be_run_is_no_pass_and_says_why(case: str, fault: str) -> None:
    report = run_cases(read_policy(_tests(case)))
    assert not report.is_passed
    assert fault in explained(report.results[0])[1]
    with pytest.raises(PolicyTestsFailedError, match="1 of 1 of the policy's own tests fail"):
        checked_policy(_tests(case))


def test_a_ceilings_cases_are_decided_as_those_of_an_organization_without_rules() -> None:
    ceiling = read_policy(
        "rules: [{name: no-money, when: {class: spend}, then: deny}]\n"
        "tests: [{proposal: {class: spend}, given: {level: 5}, expect: {outcome: deny, rule: ceiling/no-money}}]\n",
        is_ceiling=True,
    )
    report = run_cases(ceiling, is_ceiling=True)
    assert (report.is_passed, report.unreached) == (True, ())
