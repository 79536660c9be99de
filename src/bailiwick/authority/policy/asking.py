"""Reads what a rule asks under ``when``: each condition checked, and in the shape that ``conditions`` answers."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bailiwick.authority.model import EFFECT_CLASSES
from bailiwick.authority.policy.conditions import COMPARISONS, DAYS, tagged
from bailiwick.authority.policy.entries import Entry
from bailiwick.authority.risk import BANDS

_MAX_PATTERN = 200
_MAX_PATTERNS = 100
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")


def read_when(entry: Entry) -> dict[str, Any]:
    """Return the conditions of a rule by name.

    Raises:
        PolicySyntaxError: one is unknown or cannot be asked like this; the message says the line and what can.
    """
    found: dict[str, Any] = {}
    for name, ask in fields(entry, _READERS, what="condition").items():
        read = _READERS[name](ask)
        if name == "agent":
            found |= read
        else:
            found[name] = read
    return found


def fields(entry: Entry, known: Iterable[str], *, what: str = "key") -> dict[str, Entry]:
    """Return a mapping's entries, all of which have known names."""
    known = list(known)
    if not isinstance(entry.value, dict):
        raise entry.fail(f"here belongs a mapping with: {', '.join(known)}")
    found = cast("dict[str, Entry]", entry.value)
    for name, value in found.items():
        if name not in known:
            raise value.fail(f"no {what} {name!r}; {suggestion(name, known)}")
    return found


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what was probably meant, or everything there is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"


def text(entry: Entry, *, most: int) -> str:
    """Return a text of one to ``most`` characters."""
    if not isinstance(entry.value, str) or not 1 <= len(entry.value) <= most:
        raise entry.fail(f"here belongs a text of 1 to {most} characters; put it in quotes if it looks like a number")
    return entry.value


def flag(entry: Entry) -> bool:
    """Return true or false."""
    if not isinstance(entry.value, bool):
        raise entry.fail("here belongs true or false")
    return entry.value


def several(entry: Entry) -> list[Entry]:
    """Return the entries of a list; one that stands alone is a list of one."""
    found = cast("list[Entry]", entry.value) if isinstance(entry.value, list) else [entry]
    if not 1 <= len(found) <= _MAX_PATTERNS:
        raise entry.fail(f"a list has from 1 to {_MAX_PATTERNS} entries")
    return found


def _patterns(entry: Entry) -> tuple[str, ...]:
    return tuple(text(one, most=_MAX_PATTERN) for one in several(entry))


def _choice(choices: Iterable[str]) -> Callable[[Entry], frozenset[str]]:
    known = list(choices)

    def read(entry: Entry) -> frozenset[str]:
        for one in several(entry):
            if one.value not in known:
                raise one.fail(f"no {one.text!r} here; {suggestion(one.text, known)}")
        return frozenset(one.value for one in several(entry))

    return read


def _bounds(number: Callable[[Entry], Any]) -> Callable[[Entry], tuple[tuple[str, Any], ...]]:
    def read(entry: Entry) -> tuple[tuple[str, Any], ...]:
        if not isinstance(entry.value, dict):
            return (("is", number(entry)),)
        found = fields(entry, COMPARISONS, what="comparison")
        if not found:
            raise entry.fail(f"compare with something: {', '.join(COMPARISONS)}")
        return tuple((name, number(value)) for name, value in sorted(found.items()))

    return read


def _number(least: float, most: float) -> Callable[[Entry], float]:
    def read(entry: Entry) -> float:
        value = entry.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise entry.fail(f"here belongs a number from {least:g} to {most:g}")
        return value

    return read


def _money(entry: Entry) -> Decimal:
    # From the text, so that no digit of money passes through a float.
    try:
        value = Decimal(entry.text) if not isinstance(entry.value, bool) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not 0 <= value < 10**12:
        raise entry.fail("here belongs an amount of money, such as 100 or 12.50, in the organization's currency")
    return value


def _risk(entry: Entry) -> Any:
    if isinstance(entry.value, dict) or not isinstance(several(entry)[0].value, str):
        return _bounds(_number(0, 10))(entry)
    return _choice(BANDS)(entry)


def _agent(entry: Entry) -> dict[str, Any]:
    if not isinstance(entry.value, dict):
        return {"agent_name": _patterns(entry)}
    found = fields(entry, ("name", "kind", "id"))
    if not found:
        raise entry.fail("name the agent by name, kind or id")
    return {f"agent_{name}": _patterns(value) for name, value in found.items()}


def _labels(entry: Entry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(entry.value, dict):
        return _patterns(entry), ()
    found = fields(entry, ("present", "absent"))
    if not found:
        raise entry.fail("say which labels are present or absent, such as: {present: 'untrusted:*'}")
    present, absent = (_patterns(found[name]) if name in found else () for name in ("present", "absent"))
    return present, absent


def _consent(entry: Entry) -> tuple[str, frozenset[str]]:
    if not isinstance(entry.value, dict):
        return _one(entry, ("granted", "missing")), frozenset()
    found = fields(entry, ("is", "purpose"))
    if "is" not in found:
        raise entry.fail("say whether consent is: granted or is: missing")
    purposes = frozenset(_patterns(found["purpose"])) if "purpose" in found else frozenset[str]()
    return _one(found["is"], ("granted", "missing")), purposes


def _one(entry: Entry, choices: tuple[str, ...]) -> str:
    if entry.value not in choices:
        raise entry.fail(f"here belongs {' or '.join(choices)}, not {entry.text!r}")
    return cast("str", entry.value)


def _time(entry: Entry) -> tuple[frozenset[int], tuple[int, int] | None, str]:
    found = fields(entry, ("days", "hours", "zone"))
    if "days" not in found and "hours" not in found:
        raise entry.fail("say days, hours or both, such as: {days: [mon-fri], hours: '09:00-17:00', zone: UTC}")
    days = frozenset[int]().union(*(_days(one) for one in several(found["days"]))) if "days" in found else frozenset()
    zone = text(found["zone"], most=64) if "zone" in found else "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise found["zone"].fail(f"no time zone {zone!r}; use one such as Europe/Berlin or UTC") from None
    return days, _hours(found["hours"]) if "hours" in found else None, zone


def _days(entry: Entry) -> set[int]:
    first, dash, last = entry.text.lower().partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise entry.fail(f"no day {entry.text!r}; use {', '.join(DAYS)}, or a span such as mon-fri")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}


def _hours(entry: Entry) -> tuple[int, int]:
    found = _HOURS.fullmatch(entry.text)
    begin, end = (0, 0) if found is None else (
        int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    )  # fmt: skip
    if begin == end or end > 24 * 60:
        raise entry.fail("hours are a span such as '09:00-17:00'; one such as '22:00-06:00' goes past midnight")
    return begin, end


def _arguments(entry: Entry) -> tuple[tuple[tuple[str, ...], Any], ...]:
    if not isinstance(entry.value, dict) or not entry.value:
        raise entry.fail("name arguments and their values, such as: {state: closed, count: {at_most: 10}}")
    found = cast("dict[str, Entry]", entry.value)
    return tuple((tuple(name.split(".")), _value(value)) for name, value in sorted(found.items()))


def _value(entry: Entry) -> Any:
    """Read bounds of a number, or the values that are meant: only what bounds an argument."""
    if isinstance(entry.value, dict):
        return _bounds(_number(-1e15, 1e15))(entry)
    for one in several(entry):
        if not isinstance(one.value, str | int | float):
            raise one.fail("here belong values: texts, numbers, true or false")
    return frozenset(tagged(one.value) for one in several(entry))


_READERS: Mapping[str, Callable[[Entry], Any]] = {
    "organization": _patterns,
    "tool": _patterns,
    "class": _choice(sorted(EFFECT_CLASSES)),
    "agent": _agent,
    "target": _patterns,
    "reversible": flag,
    "price": _bounds(_money),
    "risk": _risk,
    "score": _bounds(_number(0, 1)),
    "confidence": _bounds(_number(0, 1)),
    "level": _bounds(_number(1, 5)),
    "time": _time,
    "labels": _labels,
    "consent": _consent,
    "arguments": _arguments,
}
