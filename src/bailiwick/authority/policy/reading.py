"""Reads a policy: YAML in, rules and their tests out, or everything that is wrong with its line."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from bailiwick.authority.model import ApprovalTerms, Outcome
from bailiwick.authority.policy.asking import fields, flag, read_when, suggestion, text
from bailiwick.authority.policy.entries import Entry, PolicySyntaxError, read_entries
from bailiwick.authority.policy.model import Case, Policy, Rule
from bailiwick.identity.people.permissions import ROLES

MAX_RULES = 5_000
MAX_CASES = 1_000
_MAX_FAULTS = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_OUTCOMES: tuple[Outcome, ...] = ("allow", "approve", "deny")
_GIVEN = ("level", "consent", "budget", "remembered", "organization")
_EXPECTED = ("outcome", "rule", "voice", "notice", "shadow", "quorum", "roles", "on_expiry")
_PROPOSAL = (
    "tool", "class", "agent", "target", "arguments", "price", "reversible", "labels", "free_text", "confidence",
    "risk", "score", "factors", "subject", "purpose", "at",
)  # fmt: skip
_TERMS = ("roles", "quorum", "expires_hours", "on_expiry", "escalate_to", "escalate_hours")

Read = TypeVar("Read")


def read_policy(source: str, *, version: int = 0, is_ceiling: bool = False) -> Policy:
    """Return the policy a text holds.

    A ceiling may not loosen anything, so it has no rules that allow.

    Raises:
        PolicySyntaxError: with every fault that was found (up to 20), its line and what to write instead.
    """
    root = read_entries(source)
    parts = fields(root, ("description", "approval", "rules", "tests"))
    faults: list[PolicySyntaxError] = []
    approval = _terms(parts["approval"]) if "approval" in parts else ApprovalTerms()
    rules = _all(parts.get("rules"), lambda entry: _rule(entry, approval), faults, most=MAX_RULES)
    cases = _all(parts.get("tests"), _case, faults, most=MAX_CASES)
    _check_names(rules, faults)
    if is_ceiling:
        faults += [
            Entry(None, rule.line).fail(f"{rule.name!r} allows, but a ceiling only limits: use approve or deny")
            for rule in rules
            if rule.outcome == "allow"
        ]
    if faults:
        raise PolicySyntaxError("\n".join(str(fault) for fault in faults[:_MAX_FAULTS]))
    description = text(parts["description"], most=2_000) if "description" in parts else ""
    return Policy(tuple(rules), approval, tuple(cases), description, version)


def read_cases(source: str) -> tuple[Case, ...]:
    """Return the cases of a file that holds nothing else, under ``tests``."""
    parts = fields(read_entries(source), ("tests",))
    faults: list[PolicySyntaxError] = []
    cases = _all(parts.get("tests"), _case, faults, most=MAX_CASES)
    if faults:
        raise PolicySyntaxError("\n".join(str(fault) for fault in faults[:_MAX_FAULTS]))
    return tuple(cases)


def _all(
    entry: Entry | None, read: Callable[[Entry], Read], faults: list[PolicySyntaxError], *, most: int
) -> list[Read]:
    if entry is None:
        return []
    if not isinstance(entry.value, list) or len(entry.value) > most:
        raise entry.fail(f"here belongs a list of at most {most:,}")
    found: list[Read] = []
    for one in cast("list[Entry]", entry.value):
        try:
            found.append(read(one))
        except PolicySyntaxError as fault:
            faults.append(fault)
    return found


def _check_names(rules: list[Rule], faults: list[PolicySyntaxError]) -> None:
    first: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in first:
            where = first[rule.name].line
            faults.append(Entry(None, rule.line).fail(f"another rule is called {rule.name!r}, on line {where}"))
        first.setdefault(rule.name, rule)


def _rule(entry: Entry, approval: ApprovalTerms) -> Rule:
    parts = fields(entry, ("name", "when", "then", "because", "approval", "irreversible", "notice"))
    name = _name(entry, parts)
    if "then" not in parts:
        raise entry.fail(f"the rule {name!r} does not say what follows; add then: allow, approve or deny")
    outcome = parts["then"].value
    if outcome not in _OUTCOMES:
        raise parts["then"].fail(f"then is allow, approve or deny; {suggestion(parts['then'].text, _OUTCOMES)}")
    when = read_when(parts["when"]) if "when" in parts else {}
    terms = _terms(parts["approval"], approval) if "approval" in parts else None
    if terms is not None and outcome != "approve":
        raise parts["approval"].fail("approval belongs to a rule with then: approve")
    for only in ("irreversible", "notice"):
        if only in parts and outcome != "allow":
            raise parts[only].fail(f"{only} belongs to a rule with then: allow")
    irreversible = "irreversible" in parts and flag(parts["irreversible"])
    if irreversible and (not when.get("tool") or any("*" in tool for tool in when["tool"])):
        raise parts["irreversible"].fail(
            "a rule that lets something be done that cannot be undone names its tools in full: tool: mail.send, no *"
        )
    return Rule(
        name,
        outcome,
        when,
        text(parts["because"], most=2_000) if "because" in parts else "",
        terms,
        irreversible,
        "notice" in parts and flag(parts["notice"]),
        entry.line,
    )


def _name(entry: Entry, parts: Mapping[str, Entry]) -> str:
    if "name" not in parts:
        raise entry.fail("a rule needs a name; decisions are explained by it")
    name = parts["name"]
    if not isinstance(name.value, str) or not _NAME.fullmatch(name.value):
        raise name.fail("a rule's name has up to 80 small letters, digits, dots, dashes and underscores")
    return name.value


def _terms(entry: Entry, base: ApprovalTerms | None = None) -> ApprovalTerms:
    parts = fields(entry, _TERMS)
    base = base or ApprovalTerms()
    roles = tuple(_role(one) for one in _listed(parts["roles"])) if "roles" in parts else base.roles
    escalate_to = base.escalate_to
    if "escalate_to" in parts:
        escalate_to = None if parts["escalate_to"].value is None else _role(parts["escalate_to"])
    on_expiry = base.on_expiry
    if "on_expiry" in parts:
        on_expiry = parts["on_expiry"].value
        if on_expiry not in ("deny", "allow"):
            raise parts["on_expiry"].fail("on_expiry says what silence means: deny or allow")
    return ApprovalTerms(
        roles,
        int(_measure(parts, "quorum", base.quorum, 1, 20, whole=True)),
        float(_measure(parts, "expires_hours", base.expires_hours, 0.01, 8_760)),
        on_expiry,
        escalate_to,
        None if base.escalate_hours is None and "escalate_hours" not in parts
        else float(_measure(parts, "escalate_hours", base.escalate_hours or 1, 0.01, 8_760)),
    )  # fmt: skip


def _measure(
    parts: Mapping[str, Entry], name: str, default: float, least: float, most: float, *, whole: bool = False
) -> float:
    if name not in parts:
        return default
    value = parts[name].value
    is_number = isinstance(value, int) or (isinstance(value, float) and not whole)
    if isinstance(value, bool) or not is_number or not least <= value <= most:
        kind = "whole number" if whole else "number"
        raise parts[name].fail(f"{name} is a {kind} from {least:g} to {most:g}")
    return value


def _listed(entry: Entry) -> list[Entry]:
    found = cast("list[Entry]", entry.value) if isinstance(entry.value, list) else [entry]
    if not found:
        raise entry.fail("name at least one role")
    return found


def _role(entry: Entry) -> str:
    if entry.value not in ROLES:
        raise entry.fail(f"no role {entry.text!r}; {suggestion(entry.text, ROLES)}")
    return cast("str", entry.value)


def _case(entry: Entry) -> Case:
    parts = fields(entry, ("name", "proposal", "given", "expect"))
    for needed in ("proposal", "expect"):
        if needed not in parts:
            raise entry.fail(f"a test needs {needed}")
    name = text(parts["name"], most=200) if "name" in parts else f"line {entry.line}"
    proposal = {key: value.plain() for key, value in fields(parts["proposal"], _PROPOSAL).items()}
    price = fields(parts["proposal"], _PROPOSAL).get("price")
    if price is not None:
        proposal["price"] = price.text
    given = {key: value.plain() for key, value in fields(parts["given"], _GIVEN).items()} if "given" in parts else {}
    expect = _expectation(parts["expect"])
    return Case(name, proposal, given, expect, entry.line)


def _expectation(entry: Entry) -> dict[str, Any]:
    if isinstance(entry.value, str):
        entry = Entry({"outcome": entry}, entry.line)
    found = fields(entry, _EXPECTED)
    if "outcome" not in found:
        raise entry.fail("say which outcome is expected: allow, approve or deny")
    if found["outcome"].value not in _OUTCOMES:
        raise found["outcome"].fail(f"an outcome is {', '.join(_OUTCOMES)}")
    return {key: value.plain() for key, value in found.items()}
