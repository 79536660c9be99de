"""Each condition answers yes, no, or that it cannot be determined."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.authority.policy import read_policy
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.conditions import predicate_of
from bailiwick.authority.policy.matching import matcher, matches
from tests.support.policies import AGENT, proposal


def _holds(when: str, *, consent: bool | None = None, level: int = 2, **fields: Any) -> bool | None:
    policy = read_policy(f"rules:\n- {{name: a, when: {{{when}}}, then: deny}}\n")
    around = Circumstances(proposal(**fields), level, consent=consent, organization=("id", "acme"))
    answers = [predicate_of(name, ask)(around) for name, ask in policy.rules[0].when.items()]
    return False if False in answers else None if None in answers else True


@pytest.mark.parametrize(
    ("when", "fields", "answer"),
    [
        ("tool: 'mail.*'", {}, True),
        ("tool: mail", {}, False),
        ("class: [write, read]", {}, True),
        ("class: spend", {}, False),
        ("agent: Nora", {}, True),
        ("agent: {kind: guard}", {}, False),
        (f"agent: {{id: {AGENT}}}", {}, True),
        ("agent: Nora", {"agent_name": None}, None),
        ("target: 'person:*'", {}, True),
        ("organization: acme", {}, True),
        ("organization: rival", {}, False),
        ("reversible: false", {}, False),
        ("price: {above: 0.10}", {"price": Decimal("0.1")}, False),
        ("price: {above: 0.10}", {"price": Decimal("0.11")}, True),
        ("price: {at_least: 1, below: 2}", {"price": Decimal(2)}, False),
        ("price: 5", {"price": Decimal("5.00")}, True),
        ("price: {above: 1}", {"price": Decimal("NaN")}, None),
        ("risk: {at_least: 7}", {"risk": 7.0}, True),
        ("risk: high", {"risk": 5.0}, True),
        ("risk: high", {"risk": 7.0}, False),
        ("risk: high", {}, None),
        ("risk: low", {"factors": {"risks": [{"severity": 1, "likelihood": 1}]}}, True),
        ("risk: low", {"risk": float("nan")}, None),
        ("score: {below: 0.5}", {"score": 0.4}, True),
        ("score: {below: 0.5}", {}, None),
        ("confidence: {below: 0.7}", {"confidence": 0.7}, False),
        ("confidence: {below: 0.7}", {"confidence": 7.0}, None),
        ("level: {at_least: 3}", {}, False),
        ("labels: 'untrusted:*'", {"labels": frozenset({"untrusted:mail"})}, True),
        ("labels: 'untrusted:*'", {}, False),
        ("labels: {absent: 'untrusted:*'}", {}, True),
        ("labels: {present: 'by:*', absent: 'untrusted:*'}", {"labels": frozenset({"by:x", "untrusted:y"})}, False),
        ("arguments: {state: closed}", {"arguments": {"state": "closed"}}, True),
        ("arguments: {state: closed}", {"arguments": {"state": "open"}}, False),
        ("arguments: {state: closed}", {"arguments": {}}, None),
        ("arguments: {state: closed}", {"arguments": {"state": ["closed"]}}, None),
        ("arguments: {flag: true}", {"arguments": {"flag": 1}}, False),
        ("arguments: {count: [1, 2]}", {"arguments": {"count": 2.0}}, True),
        ("arguments: {count: {at_most: 3}}", {"arguments": {"count": True}}, None),
        ("arguments: {a.b: {above: 1}}", {"arguments": {"a": {"b": 2}}}, True),
    ],
)
def test_a_condition_answers(when: str, fields: dict[str, Any], answer: bool | None) -> None:
    assert _holds(when, **fields) is answer


@pytest.mark.parametrize(
    ("consent", "fields", "granted", "missing"),
    [
        (None, {}, False, False),
        (True, {"subject": "7", "purpose": "marketing"}, True, False),
        (False, {"subject": "7", "purpose": "marketing"}, False, True),
        (None, {"subject": "7", "purpose": "marketing"}, None, None),
        (True, {"subject": "7"}, None, None),
        (True, {"subject": "7", "purpose": "analytics"}, False, False),
    ],
)
def test_consent_is_asked_of_the_person_concerned_for_the_purpose(
    consent: bool | None, fields: dict[str, Any], granted: bool | None, missing: bool | None
) -> None:
    for state, answer in (("granted", granted), ("missing", missing)):
        assert _holds(f"consent: {{is: {state}, purpose: marketing}}", consent=consent, **fields) is answer


@pytest.mark.parametrize(
    ("when", "moment", "answer"),
    [
        # 2026-07-01 is a Wednesday; in July Berlin is two hours ahead of UTC.
        ("hours: '09:00-17:00', zone: Europe/Berlin", "2026-07-01T07:00", True),
        ("hours: '09:00-17:00', zone: Europe/Berlin", "2026-07-01T15:00", False),
        ("hours: '09:00-17:00', zone: Europe/Berlin", "2026-01-07T07:30", False),
        ("hours: '22:00-06:00'", "2026-07-01T23:59", True),
        ("hours: '22:00-06:00'", "2026-07-01T06:00", False),
        ("days: [sat, sun]", "2026-07-04T12:00", True),
        ("days: [fri-mon]", "2026-07-01T12:00", False),
        ("days: [wed], zone: Asia/Tokyo", "2026-07-01T16:00", False),
    ],
)
def test_time_is_that_of_the_zone_with_its_summer(when: str, moment: str, answer: bool) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert _holds(f"time: {{{when}}}", at=at) is answer


@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=10))
def test_a_star_stands_for_any_characters_and_nothing_else_is_special(pattern: str, text: str) -> None:
    reachable = {0}
    for character in pattern:
        if character == "*":
            reachable = {end for start in reachable for end in range(start, len(text) + 1)}
        else:
            reachable = {start + 1 for start in reachable if start < len(text) and text[start] == character}
    assert matches(pattern, text) is (len(text) in reachable)
    assert matcher((pattern, "zz*"))(text) is matches(pattern, text)
