"""Parses YAML into entries, by PyYAML's events alone: nothing is constructed that a text could choose."""

import re
from collections.abc import Iterator
from typing import Any, cast

import yaml

from bailiwick.authority.policy.entries import Entry, PolicySyntaxError

_MAX_DEPTH = 20
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(
    r"[-+]?(0|[1-9][0-9]{0,17})?\.[0-9]{1,18}([eE][-+]?[0-9]{1,2})?|[-+]?[0-9]{1,18}[eE][-+]?[0-9]{1,2}"
)
# YAML 1.2: what other words might mean ("no", "on", 12:30) they mean as text.
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def document_of(text: str) -> Entry:
    """Return the one document of a text, or raise PolicySyntaxError."""
    try:
        return _document(_events(text))
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 1
        raise PolicySyntaxError(f"line {line}: this is no YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise PolicySyntaxError(f"this is no YAML: {error}") from error


def _events(text: str) -> Iterator[Any]:
    # The C parser where PyYAML has it: twenty times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return cast("Iterator[Any]", yaml.parse(text, Loader=loader))


def _document(events: Iterator[Any]) -> Entry:
    """Build entries without recursion, so that depth is refused and never overflows."""
    root: Entry | None = None
    # Open collections, each with the key that waits for its value.
    stack: list[tuple[Entry, Entry | None]] = []
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        entry = _entry(event)
        if not stack:
            if root is not None:
                raise entry.fail("a second document begins here; a policy is one")
            root = entry
        else:
            stack[-1] = (stack[-1][0], _placed(*stack[-1], entry))
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append((entry, None))
            if len(stack) > _MAX_DEPTH:
                raise entry.fail(f"this is nested deeper than {_MAX_DEPTH} levels")
    if root is None:
        raise PolicySyntaxError("the policy is empty; it has at least: rules: []")
    return root


def _entry(event: Any) -> Entry:
    line = event.start_mark.line + 1
    entry = Entry(None, line)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise entry.fail("anchors and aliases (&, *) are not used in policies; quote a pattern: '*'")
    if event.tag is not None:
        raise entry.fail(f"tags such as {event.tag[:30]!r} are not used in policies")
    if isinstance(event, yaml.MappingStartEvent):
        return Entry({}, line)
    if isinstance(event, yaml.SequenceStartEvent):
        return Entry([], line)
    return Entry(_scalar(event), line, event.value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style is not None and event.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _placed(parent: Entry, key: Entry | None, entry: Entry) -> Entry | None:
    """Put an entry into its parent; return the key that now waits for a value."""
    if isinstance(parent.value, list):
        parent.value.append(entry)
        return None
    if key is not None:
        parent.value[key.value] = entry
        return None
    if not isinstance(entry.value, str):
        raise entry.fail("a name stands before the colon; put it in quotes if it looks like a number or a word of YAML")
    if entry.value in parent.value:
        raise entry.fail(f"{entry.value!r} is here twice; the first is on line {parent.value[entry.value].line}")
    return entry
