"""Patterns with ``*``, as tools, targets and labels are named by."""

from collections.abc import Callable, Sequence


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text fits a pattern; ``*`` stands for any characters, all others for themselves.

    Takes time linear in both: the parts between the stars are looked for from left to right.
    """
    if "*" not in pattern:
        return pattern == text
    first, *middle, last = pattern.split("*")
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a text fits one of several patterns."""
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    globs = tuple(pattern for pattern in patterns if "*" in pattern)
    if not globs:
        return exact.__contains__
    return lambda text: text in exact or any(matches(pattern, text) for pattern in globs)
