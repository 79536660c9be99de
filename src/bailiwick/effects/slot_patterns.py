"""Which patterns bound a string: those that spell out every character that may stand in it."""

import string

MAX_PATTERN_CHARACTERS = 256

# Of names, numbers and addresses within a system; no space, quote or bracket, so that nobody writes a sentence,
# a link's text or a command.
ALPHABET = frozenset(f"{string.ascii_letters}{string.digits}-_.:/#@+=~,")
_SPECIAL = frozenset("\\^$.|?*+()[]{}")
_RANGES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def spells_out(pattern: str) -> bool:
    r"""Tell whether a pattern matches whole strings only, of characters that it spells out one by one.

    It begins with ``^`` and ends with ``$`` around everything, and is made of
    letters, digits, ``-_.:/#@+=~,``, classes of those such as ``[a-z0-9]``,
    ``\d``, groups, alternatives and repetitions. What it does not know it does
    not accept: ``.``, ``\w``, ``\s``, ``[^a]``, spaces, look-around, flags.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS or len(pattern) < 2 or pattern[0] != "^" or pattern[-1] != "$":
        return False
    try:
        reader = _Reader(pattern[1:-1])
        reader.sequence()
    except (ValueError, RecursionError):
        return False
    # Left over is what no sequence holds: an alternative outside a group, which the anchors do not hold together.
    return reader.is_done


class _Reader:
    """Reads a pattern by recursive descent; a ValueError is what it does not accept."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._text)

    def sequence(self) -> None:
        while not self.is_done and self._next not in "|)":
            self._atom()
            self._repetition()

    @property
    def _next(self) -> str:
        return self._text[self._at] if not self.is_done else ""

    def _take(self) -> str:
        if self.is_done:
            raise ValueError("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _atom(self) -> None:
        character = self._take()
        if character == "(":
            self._group()
        elif character == "[":
            self._class()
        elif character == "\\":
            self._escaped()
        elif character in _SPECIAL or character not in ALPHABET:
            raise ValueError(f"{character!r} is not spelled out")

    def _group(self) -> None:
        if self._next == "?":
            self._take()
            if self._take() != ":":
                raise ValueError("only plain groups are known")
        self.sequence()
        while self._next == "|":
            self._take()
            self.sequence()
        if self._take() != ")":
            raise ValueError("a group does not end")

    def _class(self) -> None:
        if self._next == "]":
            # Which regular expressions take for a member of the class, not for its end.
            raise ValueError("a class begins with what it holds")
        while (character := self._take()) != "]":
            if character == "\\":
                character = self._escaped()
            elif character not in ALPHABET:
                raise ValueError(f"{character!r} is not spelled out")
            if self._next == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._take()
                self._check_range(character, self._take())

    def _escaped(self) -> str:
        character = self._take()
        if character != "d" and (character.isalnum() or character not in ALPHABET):
            raise ValueError(f"\\{character} is not spelled out")
        return character

    def _check_range(self, first: str, last: str) -> None:
        if not any(first in letters and last in letters for letters in _RANGES):
            raise ValueError(f"{first}-{last} is no range of letters or digits")

    def _repetition(self) -> None:
        if self._next and self._next in "?*+":
            self._take()
        elif self._next == "{":
            self._take()
            while (character := self._take()) != "}":
                if character not in "0123456789,":
                    raise ValueError("no number of repetitions")
        if self._next and self._next in "?*+{":
            raise ValueError("a repetition of a repetition")
