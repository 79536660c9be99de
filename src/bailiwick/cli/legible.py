"""Texts that outsiders may have written, shown so that every character is seen and none does anything."""

import json
import unicodedata

import orjson

# Control characters, invisible ones, those that turn the direction of writing, and what is nothing at all.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# The backslash itself, so that different texts look different.
_NAMED = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def legible(text: str) -> str:
    """Return a text on one line with everything escaped that a terminal would hide, obey or turn around."""
    is_plain = text.isprintable() and "\\" not in text
    return text if is_plain else "".join(_shown(character) for character in text)


def legible_document(value: object) -> str:
    """Return a JSON document in which everything hidden is escaped as JSON does, so that it can be copied and given."""
    return legible_json(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def legible_json(text: str) -> str:
    """Return JSON that means the same, with everything hidden in its strings escaped; its lines stay."""
    return "\n".join(
        # The common case is fast: nearly every line holds nothing that is hidden.
        line if line.isprintable() else "".join(_escaped(one) if _is_hidden(one) else one for one in line)
        for line in text.split("\n")
    )


def _shown(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if _is_hidden(character):
        return f"\\u{{{ord(character):x}}}"
    return character


def _is_hidden(character: str) -> bool:
    # Spaces other than the common one look like it, and are none.
    is_odd_space = character != " " and unicodedata.category(character) == "Zs"
    return is_odd_space or unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]
