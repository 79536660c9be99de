"""Slots: the arguments of a tool that text from outside can fill only with what fits a bounded type.

Bounded, and so no way for somebody else's words to reach the outside:

* ``bool``, ``None``, ``Literal`` and enumerations: closed lists;
* ``int``, ``float`` and ``Decimal`` with a lower and an upper limit;
* dates, times, time spans and UUIDs;
* strings of at most 64 characters whose pattern spells every one of them out
  (``spells_out`` says what that means);
* strings marked with a ``Slot``, where the value is on the slot's list;
* lists, sets, tuples and dictionaries of those with at most 32 items, and models of those.

Anything else is free text: a string without such a pattern, an address, bytes,
``Any``, fields that the schema does not declare. What counts is the value after
validation, so validators of a tool's own neither bound nor unbind anything.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from bailiwick.effects.model import UNSEEN
from bailiwick.effects.slot_patterns import spells_out
from bailiwick.effects.tool import Tool
from bailiwick.kernel.labels import NO_LABELS, is_untrusted, untrusted

MAX_CHARACTERS = 64
MAX_ITEMS = 32
# What fits 64 bits; the digits of a longer number could spell words.
_LARGEST = 2**63
_MAX_DIGITS = 20

_INSTANCES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,), "date": (date,), "time": (time,), "datetime": (date,), "timedelta": (timedelta,), "uuid": (UUID,),
}  # fmt: skip
# What only stands around a schema, and under which name it holds it.
_AROUND: Mapping[str, str] = {
    "default": "schema", "nullable": "schema", "model-field": "schema", "definitions": "schema",
    "function-after": "schema", "function-before": "schema", "function-wrap": "schema",
    "json-or-python": "python_schema", "lax-or-strict": "lax_schema",
}  # fmt: skip
_SLOT = "bailiwick_slot"
_NOT_IN_SOURCES = re.compile(r"[^a-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Slot:
    """Marks a string of a tool's schema that may be one of a closed list: ``Annotated[str, Slot(TEMPLATES)]``.

    ``values`` is the list, or what returns it. Other strings are not refused;
    they are free text.
    """

    values: Collection[str] | Callable[[], Collection[str]]

    def holds(self, value: object) -> bool:
        """Tell whether a value is on the list."""
        return isinstance(value, str) and value in (self.values() if callable(self.values) else self.values)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Leave the schema as it is, with this slot noted beside it."""
        schema = handler(source)
        schema["metadata"] = {**schema.get("metadata", {}), _SLOT: self}
        return schema


def free_text(tool: Tool[Any], arguments: BaseModel | Mapping[str, Any], labels: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the arguments that text from outside can reach unbounded; none where no label says outside.

    Dotted where they are nested: ``issue.title``. What is left out or None
    carries nothing.

    Raises:
        pydantic.ValidationError: the arguments do not fit the tool's schema.
    """
    if not is_untrusted(labels):
        return ()
    fitting = arguments if isinstance(arguments, tool.arguments) else tool.arguments.model_validate(arguments)
    schema: Any = tool.arguments.__pydantic_core_schema__
    return tuple(dict.fromkeys(_Walk().unbounded(schema, fitting, "")))


def answer_labels(tool: str, state: str, result: Any, reason: str = "") -> frozenset[str]:
    """Return the labels that a run carries once a tool has answered: what it answered in words came from outside.

    ``state`` is what became of the effect, ``reason`` why; what failed, or could
    not be looked at, is told in the tool's words.
    """
    if state not in ("failed", "unknown") and UNSEEN not in reason and not _holds_words(result):
        return NO_LABELS
    # The part of the name before the dot is the system: github.comment.
    return frozenset({untrusted(_NOT_IN_SOURCES.sub("_", tool.partition(".")[0].lower()).strip("_.-")[:63] or "tool")})


def _holds_words(value: Any) -> bool:
    if isinstance(value, Mapping):
        # Its keys are the tool's own.
        return any(_holds_words(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_words(entry) for entry in value)
    return not (value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _LARGEST))


class _Walk:
    """Goes through a core schema, which is what pydantic validates by, beside the value that passed it."""

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = {}

    def unbounded(self, schema: Any, value: Any, name: str) -> Iterator[str]:
        """Yield the dotted name of everything unbounded in a value."""
        kind: str = schema["type"]
        slot = schema.get("metadata", {}).get(_SLOT)
        if value is None or (slot is not None and slot.holds(value)):
            return
        if kind == "definitions":
            self._definitions |= {entry["ref"]: entry for entry in schema["definitions"]}
        if kind == "definition-ref":
            yield from self.unbounded(self._definitions[schema["schema_ref"]], value, name)
        elif kind in _AROUND:
            yield from self.unbounded(schema[_AROUND[kind]], value, name)
        elif kind in ("model", "model-fields"):
            yield from self._model(schema, value, name)
        elif kind in ("list", "set", "frozenset", "tuple", "dict"):
            yield from self._items(schema, value, name)
        elif kind in ("union", "tagged-union"):
            yield from self._one_of(schema, value, name)
        elif not _is_bounded(schema, value):
            yield name or "*"

    def _model(self, schema: Any, value: Any, name: str) -> Iterator[str]:
        if schema["type"] == "model":
            yield from self.unbounded(schema["schema"], value.root if schema.get("root_model") else value, name)
            return
        fields: Mapping[str, Any] = schema["fields"]
        # A subclass, or a model that takes anything, holds more than the schema tells of.
        held = {**vars(value), **(value.__pydantic_extra__ or {})}
        for field, entry in held.items():
            dotted = f"{name}.{field}" if name else field
            if field in fields:
                yield from self.unbounded(fields[field], entry, dotted)
            elif entry is not None:
                yield dotted

    def _items(self, schema: Any, value: Any, name: str) -> Iterator[str]:
        kind = schema["type"]
        fixed = kind == "tuple" and "variadic_item_index" not in schema
        if value and not fixed and schema.get("max_length", MAX_ITEMS + 1) > MAX_ITEMS:
            yield name or "*"
            return
        unknown = {"type": "any"}
        if kind == "dict":
            for key, entry in value.items():
                yield from self.unbounded(schema.get("keys_schema", unknown), key, name)
                yield from self.unbounded(schema.get("values_schema", unknown), entry, name)
        elif kind == "tuple":
            for inner, entry in zip(_tuple_schemas(schema, len(value)), value, strict=True):
                yield from self.unbounded(inner, entry, name)
        else:
            for entry in value:
                yield from self.unbounded(schema.get("items_schema", unknown), entry, name)

    def _one_of(self, schema: Any, value: Any, name: str) -> Iterator[str]:
        choices = schema["choices"]
        found: list[str] = []
        for choice in choices.values() if isinstance(choices, Mapping) else choices:
            # Beside each choice a label may stand.
            inner = choice[0] if isinstance(choice, tuple) else choice
            if self._may_be(inner, value):
                found = list(self.unbounded(inner, value, name))
                if not found:
                    return
        yield from found or [name or "*"]

    def _may_be(self, schema: Any, value: Any) -> bool:
        """Tell whether a value may be of a choice at all: only a model's own instance is looked into as such."""
        kind: str = schema["type"]
        if kind == "definition-ref":
            return self._may_be(self._definitions[schema["schema_ref"]], value)
        if kind in _AROUND:
            return self._may_be(schema[_AROUND[kind]], value)
        if kind == "model":
            return isinstance(value, schema["cls"])
        kinds: Mapping[str, type] = {"list": list, "set": set, "frozenset": frozenset, "tuple": tuple, "dict": dict}
        return kind not in kinds or isinstance(value, kinds[kind])


def _tuple_schemas(schema: Any, length: int) -> list[Any]:
    inner: list[Any] = schema["items_schema"]
    at = schema.get("variadic_item_index")
    return inner if at is None else [*inner[:at], *[inner[at]] * (length - len(inner) + 1), *inner[at + 1 :]]


def _is_bounded(schema: Any, value: Any) -> bool:
    """Tell whether a schema of no parts leaves a value, which passed it, no room for words."""
    kind: str = schema["type"]
    if kind == "none":
        return value is None
    if kind == "literal":
        return any(value == one and type(value) is type(one) for one in schema["expected"])
    if kind == "enum":
        return isinstance(value, schema["cls"])
    if kind in ("int", "float", "decimal"):
        return _is_limited(schema, value)
    if kind == "str":
        return _is_spelled_out(schema, value)
    return kind in _INSTANCES and isinstance(value, _INSTANCES[kind])


def _is_limited(schema: Any, value: Any) -> bool:
    lower = [schema[name] for name in ("ge", "gt") if name in schema]
    upper = [schema[name] for name in ("le", "lt") if name in schema]
    if not lower or not upper or isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return False
    digits = len(value.as_tuple().digits) if isinstance(value, Decimal) else 0
    return digits <= _MAX_DIGITS and -_LARGEST <= max(lower) <= value <= min(upper) <= _LARGEST


def _is_spelled_out(schema: Any, value: Any) -> bool:
    pattern = schema.get("pattern")
    longest = schema.get("max_length", MAX_CHARACTERS + 1)
    if pattern is None or longest > MAX_CHARACTERS or not isinstance(value, str) or len(value) > longest:
        return False
    if isinstance(pattern, re.Pattern):
        if pattern.flags & ~re.ASCII != re.UNICODE and pattern.flags != re.ASCII:
            return False
        pattern = pattern.pattern
    # Matched once more, as a whole and in ASCII: dialects differ in what ends a string and in what is a digit.
    return isinstance(pattern, str) and spells_out(pattern) and re.fullmatch(pattern, value, re.ASCII) is not None
