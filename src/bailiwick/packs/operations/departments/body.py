"""An issue's text with its line numbers: prose, fenced blocks, sections. Outside text, never obeyed.

``issue_text`` prepares text for classification; here every line keeps its
number, because the departments cite what they found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord

MAX_BODY_CHARS = 200_000
MAX_COMMENT_CHARS = 20_000
MAX_COMMENTS = 50

# Anchored, no nested repetition: linear in the line.
_FENCE = re.compile(r"^[ \t]{0,8}(`{3,20}|~{3,20})[ \t]{0,8}([\w+#.-]{0,40})")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(\S.{0,200}?)[ \t#:]{0,40}$")
_BOLD_HEADING = re.compile(r"^[ \t]{0,8}\*\*([^*\n]{2,80}?):?\*\*:?[ \t]{0,8}$")
_KEY_VALUE = re.compile(
    r"^[ \t]{0,8}(?:[-*+][ \t]{1,4})?(?:\*\*)?([A-Za-z][A-Za-z /-]{1,40}?)(?:\*\*)?:(?:\*\*)?[ \t]{1,8}(\S.*)$"
)
_LIST_ITEM = re.compile(r"^[ \t]{0,12}(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}(?:\[[ xX]\][ \t]{1,8})?(\S.*)$")
_COMMENT_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line and where it stands: ``source`` is "issue title", "issue body, line 3" or "comment 2, line 1"."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """The inside of a fenced block; ``first_line`` is the line of its first inner line in its text, from 1."""

    language: str
    text: str
    first_line: int
    place: str = "issue body"

    @property
    def source(self) -> str:
        """Where the block begins."""
        return self.source_of(1)

    @property
    def lines(self) -> list[Line]:
        """Its lines with their places."""
        return [Line(self.source_of(number), text) for number, text in enumerate(self.text.split("\n"), start=1)]

    def source_of(self, line: int) -> str:
        """Where a line of the block stands, counted from 1."""
        return f"{self.place}, line {self.first_line + line - 1}"


@dataclass(frozen=True, slots=True)
class Section:
    """The prose under a heading or after ``Key:``, without blank edges; its fenced blocks where it has no prose."""

    name: str
    text: str
    first_line: int
    place: str = "issue body"

    @property
    def source(self) -> str:
        """Where the section begins."""
        return f"{self.place}, line {self.first_line}"

    @property
    def items(self) -> tuple[str, ...]:
        """The list items of the section, in order."""
        found = (_LIST_ITEM.match(line) for line in self.text.splitlines())
        return tuple(match.group(1).strip() for match in found if match is not None)


@dataclass(frozen=True, slots=True)
class Body:
    """A body taken apart; ``prose`` is every line outside fenced blocks."""

    prose: tuple[Line, ...]
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]
    truncated: bool = False

    @property
    def prose_text(self) -> str:
        """The prose as one text."""
        return "\n".join(line.text for line in self.prose)

    def find_section(self, *names: str) -> Section | None:
        """Return the first non-empty section whose name is, or begins with, one of the names (lower case)."""
        for name in names:
            for section in self.sections:
                if section.text and (section.name == name or section.name.startswith(f"{name} ")):
                    return section
        return None


def read_discussion(issue: IssueRecord) -> Body:
    """Take the body and the comments apart as one: what the body leaves out, a later comment may supply."""
    parts = [read_body(issue.body)]
    for position, comment in enumerate(issue.comments[:MAX_COMMENTS], start=1):
        parts.append(read_body(comment.body[:MAX_COMMENT_CHARS], place=f"comment {position}"))
    return Body(
        prose=tuple(line for part in parts for line in part.prose),
        blocks=tuple(block for part in parts for block in part.blocks),
        sections=tuple(section for part in parts for section in part.sections),
        truncated=any(part.truncated for part in parts),
    )


def read_body(text: str, place: str = "issue body") -> Body:
    """Take a text apart in time linear in its length; at most ``MAX_BODY_CHARS`` characters are read."""
    lines = text[:MAX_BODY_CHARS].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    prose: list[Line] = []
    blocks: list[Block] = []
    sections: list[Section] = []
    heading: tuple[str, int] | None = None
    kept: list[str] = []
    fenced: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        fence = _FENCE.match(line)
        if fence is not None:
            block, number = _read_block(lines, number, fence, place)
            blocks.append(block)
            fenced.append(block.text)
            continue
        number += 1
        prose.append(Line(f"{place}, line {number}", line))
        title = _HEADING.match(line) or _BOLD_HEADING.match(line)
        if title is not None:
            _close(sections, heading, kept, fenced, place)
            heading, kept, fenced = (_name(title.group(1)), number + 1), [], []
            continue
        pair = _KEY_VALUE.match(line)
        if pair is not None:
            sections.append(Section(_name(pair.group(1)), pair.group(2).strip(" *"), number, place))
        kept.append(line)
    _close(sections, heading, kept, fenced, place)
    return Body(tuple(prose), tuple(blocks), tuple(sections), truncated=len(text) > MAX_BODY_CHARS)


def issue_lines(issue: IssueRecord) -> Iterator[Line]:
    """Yield every line of the title, the body and the comments with its place; the stated caps apply."""
    yield Line("issue title", issue.title)
    yield from _numbered("issue body", issue.body[:MAX_BODY_CHARS])
    for position, comment in enumerate(issue.comments[:MAX_COMMENTS], start=1):
        yield from _numbered(f"comment {position}", comment.body[:MAX_COMMENT_CHARS])


def query_text(issue: IssueRecord) -> str:
    """Return what similarity searches should compare: the title and the first prose of the body."""
    return f"{issue.title}\n{read_body(issue.body[:_COMMENT_LIMIT]).prose_text}"


def _numbered(source: str, text: str) -> Iterator[Line]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        yield Line(f"{source}, line {number}", line)


def _read_block(lines: list[str], start: int, fence: re.Match[str], place: str) -> tuple[Block, int]:
    mark = fence.group(1)
    end = start + 1
    while end < len(lines):
        closing = lines[end].strip()
        if len(closing) >= len(mark) and not closing.strip(mark[0]):
            break
        end += 1
    inside = "\n".join(lines[start + 1 : end])
    return Block(fence.group(2).lower(), inside, start + 2, place), end + 1


def _close(
    sections: list[Section], heading: tuple[str, int] | None, kept: list[str], fenced: list[str], place: str
) -> None:
    if heading is not None:
        text = "\n".join(kept).strip() or "\n".join(fenced).strip()
        sections.append(Section(heading[0], text, heading[1], place))


def _name(heading: str) -> str:
    return " ".join(heading.lower().replace("/", " / ").split()).strip(" :*?!.")
