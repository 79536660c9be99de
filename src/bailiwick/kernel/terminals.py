"""What a terminal would do with texts that outsiders may have written."""

import unicodedata

# Control characters, invisible ones, those that turn the direction of writing, and halves of characters.
_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def harmless(text: str) -> str:
    """Return a text without what a terminal would obey or what would turn the direction of writing; its lines stay."""
    if text.isprintable():
        return text
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in _ACTIVE)
