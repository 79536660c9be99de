"""Markdown: tables, and the marked regions of a page that are written by program."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

# Between the two marks everything is generated; around them people write.
_REGION = re.compile(r"(<!-- generated:(?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def code(value: object) -> str:
    """Return a value set as code, nothing for nothing."""
    text = str(value)
    return f"`{text}`" if text else ""


def first_line(text: str | None) -> str:
    """Return the promise of a docstring: its first line."""
    return (text or "").strip().split("\n")[0].replace("``", "`")


def fill(page: str, regions: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with every region written anew.

    Raises:
        KeyError: the page asks for a region that nobody writes.
    """
    return _REGION.sub(lambda found: f"{found[1]}\n{regions[found['name']]()}\n\n{found[3]}", page)


def names(page: str) -> list[str]:
    """Return the regions that a page asks for."""
    return [found["name"] for found in _REGION.finditer(page)]


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
