"""Texts that outsiders may have written, shown so that every character is seen and none does anything."""

import json
import unicodedata

import orjson

# Control characters, invisible ones, those that turn the direction of writing, and what is nothing at all.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def legible(text: str) -> str:
    """Return a text on one line with everything escaped that a terminal would hide, obey or turn around."""
    return "".join(_shown(character) for character in text)


def legible_document(value: object) -> str:
    """Return a JSON document in which everything hidden is escaped as JSON does, so that it can be copied and given."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()
    return "".join(
        _escaped(character) if character != "\n" and _is_hidden(character) else character for character in text
    )


def _shown(character: str) -> str:
    if _is_hidden(character):
        return f"\\u{{{ord(character):x}}}"
    return "\\\\" if character == "\\" else character


def _is_hidden(character: str) -> bool:
    # Spaces other than the common one look like it, and are none.
    is_odd_space = character != " " and unicodedata.category(character) == "Zs"
    return is_odd_space or unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]
