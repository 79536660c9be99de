"""Results of replays as JUnit XML, which every CI system reads."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson

from bailiwick.replay.replaying import Replayed

# What XML 1.0 cannot hold.
_UNPRINTABLE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "?")


def junit_report(tested: Sequence[tuple[str, str, Replayed]]) -> bytes:
    """Return the report of recordings by name, with the kind of their task and what their replay found."""
    failures = sum(found.outcome == "diverged" for _, _, found in tested)
    errors = sum(found.outcome == "undetermined" for _, _, found in tested)
    suite = Element(
        "testsuite", name="bailiwick run test", tests=str(len(tested)), failures=str(failures), errors=str(errors)
    )
    for name, kind, found in tested:
        case = SubElement(suite, "testcase", classname=_safe(kind), name=_safe(name))
        if not found.is_same:
            fault = SubElement(case, "failure" if found.outcome == "diverged" else "error", message=_safe(found.detail))
            fault.text = _safe(f"recorded: {_json(found.recorded)}\nnow: {_json(found.now)}")
    return tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n"


def _json(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


def _safe(text: str) -> str:
    return text.translate(_UNPRINTABLE)
