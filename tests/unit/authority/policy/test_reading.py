"""Policies are read safely, and refused with line and advice."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority.policy import read_policy
from bailiwick.authority.policy.entries import PolicySyntaxError
from bailiwick.authority.policy.reading import read_cases

FULL = """\
description: everything a rule can ask
approval: {roles: [admin], quorum: 1, expires_hours: 24, on_expiry: deny, escalate_to: owner}
rules:
  - name: everything
    because: it shows the language
    when:
      organization: acme
      tool: [mail.send, "mail.draft*"]
      class: [external, write]
      agent: {kind: clerk, name: "Nora*", id: 0199b6ff-b66f-7000-8000-0000000000a9}
      target: "person:*"
      reversible: false
      price: {above: 0.10, at_most: 500}
      risk: [high, critical]
      score: {below: 0.5}
      confidence: {at_least: 0.7}
      level: {at_least: 3}
      time: {days: [mon-fri, sun], hours: "22:00-06:00", zone: Europe/Berlin}
      labels: {present: "untrusted:*", absent: "by:user:*"}
      consent: {is: granted, purpose: marketing}
      arguments: {state: [open, closed], count: {at_most: 10}, deep.flag: true}
    then: approve
    approval: {roles: [owner, admin], quorum: 2, escalate_to: null, escalate_hours: 2}
  - name: last-words
    when: {tool: mail.send}
    then: allow
    irreversible: true
    notice: true
tests:
  - name: a mail
    proposal: {tool: mail.send, class: external, price: 0.11}
    given: {level: 3}
    expect: allow
"""


def _fault(source: str) -> str:
    with pytest.raises(PolicySyntaxError) as caught:
        read_policy(source)
    return str(caught.value)


def test_everything_the_language_knows_is_read() -> None:
    policy = read_policy(FULL, version=3)
    first, second = policy.rules
    assert (policy.version, first.line, second.line) == (3, 4, 24)
    assert first.when["price"] == (("above", Decimal("0.10")), ("at_most", Decimal(500)))
    assert first.when["time"] == (frozenset({0, 1, 2, 3, 4, 6}), (22 * 60, 6 * 60), "Europe/Berlin")
    assert first.when["agent_name"] == ("Nora*",)
    assert first.terms is not None
    assert (first.terms.quorum, first.terms.expires_hours, first.terms.escalate_to) == (2, 24.0, None)
    assert (second.irreversible, second.notice) == (True, True)
    (case,) = policy.cases
    assert (case.name, case.proposal["price"], case.expect) == ("a mail", "0.11", {"outcome": "allow"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "the policy is empty"),
        ("rule: []", "line 1: no key 'rule'; did you mean 'rules'?"),
        ("rules: {}", "line 1: here belongs a list"),
        ("rules:\n- then: deny", "line 2: a rule needs a name"),
        ("rules:\n- name: Loud\n  then: deny", "line 2: a rule's name has up to 80 small letters"),
        ("rules:\n- name: a", "line 2: the rule 'a' does not say what follows"),
        ("rules:\n- name: a\n  then: denny", "line 3: then is allow, approve or deny; did you mean 'deny'?"),
        ("rules:\n- {name: a, then: deny}\n- {name: a, then: deny}", "line 3: another rule is called 'a', on line 2"),
        ("rules:\n- name: a\n  when: {tol: x}\n  then: deny", "line 3: no condition 'tol'; did you mean 'tool'?"),
        ("rules:\n- name: a\n  when: {class: wirte}\n  then: deny", "did you mean 'write'?"),
        ("rules:\n- name: a\n  when: {price: {abov: 1}}\n  then: deny", "did you mean 'above'?"),
        ("rules:\n- name: a\n  when: {price: cheap}\n  then: deny", "here belongs an amount of money"),
        ("rules:\n- name: a\n  when: {risk: {above: 11}}\n  then: deny", "here belongs a number from 0 to 10"),
        ("rules:\n- name: a\n  when: {risk: huge}\n  then: deny", "no 'huge' here"),
        ("rules:\n- name: a\n  when: {time: {zone: UTC}}\n  then: deny", "say days, hours or both"),
        ("rules:\n- name: a\n  when: {time: {hours: 9-17}}\n  then: deny", "hours are a span such as '09:00-17:00'"),
        ("rules:\n- name: a\n  when: {time: {days: [monday]}}\n  then: deny", "no day 'monday'"),
        ("rules:\n- name: a\n  when: {time: {days: mon, zone: Mars/X}}\n  then: deny", "no time zone 'Mars/X'"),
        ("rules:\n- name: a\n  when: {consent: maybe}\n  then: deny", "here belongs granted or missing"),
        ("rules:\n- name: a\n  when: {arguments: {to: [[x]]}}\n  then: deny", "here belong values"),
        ("rules:\n- name: a\n  then: deny\n  approval: {quorum: 2}", "approval belongs to a rule with then: approve"),
        ("rules:\n- name: a\n  then: approve\n  approval: {roles: [boss]}", "no role 'boss'"),
        ("rules:\n- name: a\n  then: approve\n  approval: {quorum: 1.5}", "quorum is a whole number from 1 to 20"),
        ("rules:\n- name: a\n  then: approve\n  irreversible: true", "irreversible belongs to a rule with then: allow"),
        (
            "rules:\n- name: a\n  when: {tool: 'mail.*'}\n  then: allow\n  irreversible: true",
            "line 5: a rule that lets something be done that cannot be undone names its tools in full",
        ),
        ("rules: &all []", "anchors and aliases"),
        ("rules: !!python/object:os.system []", "tags such as"),
        ("rules: [", "this is no YAML"),
        ("rules: []\nrules: []", "line 2: 'rules' is here twice; the first is on line 1"),
        ("rules: []\n---\nrules: []", "a second document begins here"),
        ("tests: [{proposal: {}, expect: alow}]", "an outcome is allow, approve, deny"),
        ("tests: [{proposal: {tol: x}, expect: allow}]", "did you mean 'tool'?"),
        ("1: 2", "a name stands before the colon"),
        ("x" * 1_000_001, "a policy has at most 1,000,000 characters"),
        ("[" * 5_000, "nested deeper than 20 levels"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_advice(source: str, said: str) -> None:
    assert said in _fault(source)


def test_every_fault_is_told_at_once() -> None:
    faults = _fault("rules:\n- {name: a, then: x}\n- {name: b, when: {tol: y}, then: deny}\n- {then: deny}\n")
    assert [line.split(":")[0] for line in faults.splitlines()] == ["line 2", "line 3", "line 4"]


def test_words_that_other_yaml_takes_for_values_are_texts() -> None:
    policy = read_policy("rules:\n- {name: no, when: {tool: on, target: 12:30}, then: deny}\n")
    assert (policy.rules[0].name, policy.rules[0].when) == ("no", {"tool": ("on",), "target": ("12:30",)})


def test_cases_alone_are_read_from_a_file_of_their_own() -> None:
    (case,) = read_cases("tests:\n- {proposal: {tool: a}, expect: {outcome: deny, voice: unknown}}\n")
    assert (case.name, case.expect["voice"]) == ("line 2", "unknown")
    with pytest.raises(PolicySyntaxError, match="no key 'rules'"):
        read_cases("rules: []")


@given(st.text(max_size=60) | st.text("[]{}:-,&*!|>\n 'a0\"%@`#?", max_size=60))
def test_no_text_does_anything_but_be_read_or_refused(source: str) -> None:
    try:
        policy = read_policy(source)
    except PolicySyntaxError:
        return
    assert policy.rules == ()
