"""Patterns with ``*``, as tools, targets and labels are named by."""

from collections.abc import Callable, Sequence


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text fits a pattern; ``*`` stands for any characters, all others for themselves."""
    return matcher((pattern,))(text)


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a text fits one of several patterns.

    It takes time linear in the text: the parts between stars are looked for
    from left to right, never again.
    """
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    # Most patterns end in their only star.
    beginnings = tuple(pattern[:-1] for pattern in patterns if "*" in pattern and "*" not in pattern[:-1])
    others = [pattern.split("*") for pattern in patterns if "*" in pattern[:-1]]
    if not others:
        if not beginnings:
            return exact.__contains__
        if not exact:
            return lambda text: text.startswith(beginnings)
    return lambda text: text in exact or text.startswith(beginnings) or any(_fits(parts, text) for parts in others)


def _fits(parts: Sequence[str], text: str) -> bool:
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
