"""Reviews a list of accounts: idle ones, leavers, shared ones, administrators without a second factor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bailiwick.packs.operations.departments.analytics_tables import Table
from bailiwick.packs.operations.departments.body import Line

DEFAULT_IDLE_DAYS = 90

_ACCOUNT = re.compile(r"account|user|login|member|e-?mail|name", re.IGNORECASE)
_ROLE = re.compile(r"role|rights?|permission|level", re.IGNORECASE)
_SECOND_FACTOR = re.compile(r"2fa|mfa|second[ _-]?factor|two[ _-]?factor", re.IGNORECASE)
_IDLE = re.compile(r"days?[ _-]?(?:since|idle|inactive)|(?:idle|inactive)[ _-]?days?", re.IGNORECASE)
_EMPLOYED = re.compile(r"employed|active[ _-]?employee|still[ _-]?here", re.IGNORECASE)
_LEFT = re.compile(r"^left|leaver|terminated", re.IGNORECASE)
_ADMIN = re.compile(r"admin|owner|root|super", re.IGNORECASE)
_SHARED = re.compile(r"(?:^|[._ -])(?:shared|team|common|generic|info|office|guest|test)(?:$|[._ -])", re.IGNORECASE)
_IDLE_RULE = re.compile(r"\b(\d{1,4})\s{1,3}days?\b", re.IGNORECASE)
_NO = frozenset({"no", "n", "false", "0", "off", "none", "missing"})
_YES = frozenset({"yes", "y", "true", "1", "on"})


@dataclass(frozen=True, slots=True)
class AccountFinding:
    """An account and the rule that it breaks."""

    account: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class AccountReview:
    """What a list of accounts shows; ``not_checked`` names the rules that its columns say nothing about."""

    source: str
    accounts: int
    findings: tuple[AccountFinding, ...]
    idle_days: int
    not_checked: tuple[str, ...]


def review_accounts(tables: Sequence[Table], lines: Sequence[Line]) -> AccountReview | None:
    """Review the first table that lists accounts, or return None when there is none.

    The limit of idle days is the one that a line of prose states beside "days"; 90 without one.
    """
    for table in tables:
        columns = _columns(table)
        names = _first(columns, _ACCOUNT)
        known = [_first(columns, pattern) for pattern in (_SECOND_FACTOR, _IDLE, _EMPLOYED, _LEFT, _ROLE)]
        if names is not None and any(one is not None for one in known):
            return _review(table, names, columns, _idle_limit(lines))
    return None


def _review(table: Table, names: tuple[str, ...], columns: dict[str, tuple[str, ...]], limit: int) -> AccountReview:
    roles, factors = _first(columns, _ROLE), _first(columns, _SECOND_FACTOR)
    idle, employed, left = (_first(columns, pattern) for pattern in (_IDLE, _EMPLOYED, _LEFT))
    findings: list[AccountFinding] = []
    for row, name in enumerate(names):
        if employed is not None and employed[row].lower() in _NO:
            findings.append(AccountFinding(name, "leaver", "the person is not employed any more"))
        if left is not None and left[row].lower() in _YES:
            findings.append(AccountFinding(name, "leaver", "the person has left"))
        if idle is not None and _number(idle[row]) > limit:
            findings.append(AccountFinding(name, "idle", f"{idle[row]} days without signing in, limit {limit}"))
        if roles is not None and factors is not None and _ADMIN.search(roles[row]) and factors[row].lower() in _NO:
            findings.append(AccountFinding(name, "second factor", f"{roles[row]} without a second factor"))
        if _SHARED.search(name):
            findings.append(AccountFinding(name, "shared", "the name is not one person's"))
    unknown = (
        (employed or left, "leavers: add a column `employed` (yes or no)"),
        (idle, "idle accounts: add a column `days_since_login`"),
        (roles and factors, "administrators without a second factor: add the columns `role` and `second_factor`"),
    )
    return AccountReview(
        table.source, len(names), tuple(findings), limit, tuple(need for column, need in unknown if column is None)
    )


def _columns(table: Table) -> dict[str, tuple[str, ...]]:
    numbers = {
        column.name: tuple("" if value is None else f"{value:g}" for value in column.values) for column in table.columns
    }
    return {**table.texts, **numbers}


def _first(columns: dict[str, tuple[str, ...]], pattern: re.Pattern[str]) -> tuple[str, ...] | None:
    return next((cells for name, cells in columns.items() if pattern.search(name)), None)


def _idle_limit(lines: Sequence[Line]) -> int:
    found = next((match for line in lines if (match := _IDLE_RULE.search(line.text))), None)
    return int(found.group(1)) if found is not None else DEFAULT_IDLE_DAYS


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
