"""Fenced blocks of a page, with what the comment above each says about it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(`{3,})([\w-]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (not run|file): (.+?) -->\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block. ``not_run`` is the stated reason, ``file`` the name it is to be written to."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Command:
    """One command of a console block and what the page says it prints; empty: nothing is said."""

    line: str
    expected: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its output has to match; ``…`` stands for anything."""
        parts = [re.escape(part) for part in self.expected.strip().split("…")]
        return re.compile(".*?".join(parts), re.DOTALL)


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """A page's name in test output."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        comment = _COMMENT.search(text[: found.start()])
        said = {comment[1]: comment[2]} if comment else {}
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[2], found[3], said.get("not run"), said.get("file"))


def without_blocks(page: Path) -> str:
    """A page's text without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        found.append(Command(line, expected))
    return found
