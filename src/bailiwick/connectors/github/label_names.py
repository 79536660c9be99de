"""The names of labels that agents give: a closed list, so that nobody else's words can become one unasked."""

from collections.abc import Iterable


class LabelNames:
    """A list that extensions add to at start; calling it returns the names."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def declare(self, names: Iterable[str]) -> None:
        """Add names; those that are there stay."""
        self._names |= frozenset(names)

    def __call__(self) -> frozenset[str]:
        """Return all names."""
        return self._names


GIVEN_LABELS = LabelNames()
"""The labels that agents of this process may give without a person having read them."""
