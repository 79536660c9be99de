"""An issue's title and body taken apart: prose, sections, quotes, code. All of it is data, none of it is obeyed."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

MAX_BODY_CHARS = 20_000
"""Characters of a body that are considered; what lies beyond is ignored and ``truncated`` says so."""

MAX_TITLE_CHARS = 1_000

SECTION_KEYS = {
    "type": "type",
    "issue type": "type",
    "kind": "type",
    "category": "type",
    "priority": "priority",
    "prio": "priority",
    "severity": "priority",
    "urgency": "priority",
    "requester": "requester",
    "requested by": "requester",
    "reporter": "requester",
    "reported by": "requester",
    "description": "description",
    "summary": "description",
    "details": "description",
    "success criteria": "success_criteria",
    "acceptance criteria": "success_criteria",
    "definition of done": "success_criteria",
    "done when": "success_criteria",
}
"""Headings and ``Key: value`` names that fill a section, lower case."""

# Every expression below is anchored and free of nested repetition, so matching takes time linear in the line.
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*)$")
_KEY_VALUE = re.compile(r"^[ \t]*(?:[-*+][ \t]+)?(?:\*\*|__)?([A-Za-z][A-Za-z ]{2,24}?)[ \t]*(?:\*\*|__)?:(.*)$")
_BOLD_LINE = re.compile(r"^[ \t]*(?:\*\*|__)([^*_:]{3,40}):?(?:\*\*|__)[ \t]*:?[ \t]*$")
_FENCE = re.compile(r"^[ \t]*(```|~~~|\{code\b[^}]{0,80}\}[ \t]*$|\{noformat\b[^}]{0,80}\}[ \t]*$)")
_CHECKBOX = re.compile(r"^[ \t]*[-*+][ \t]+\[([ xX])\][ \t]")
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-*+]|\d{1,4}[.)])[ \t]")
_TRACE = re.compile(
    r"^[ \t]*(?:at[ \t]+[\w.$<>\[\] ]{1,200}\(|at[ \t]+/\S|Traceback \(most recent call last\)|Caused by: |"
    r'File "[^"]{1,300}", line \d|goroutine \d+ \[|thread \'[^\']{1,80}\' panicked at|Exception in thread )'
)
# Unicode category Cf as ranges: zero-width, direction marks, tags; used to hide words from readers.
_INVISIBLE = re.compile(
    "[\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0001-\U000e007f]"
)
_EMPTY_ANSWERS = {"", "_no response_", "n/a", "none", "-", "tbd"}


@dataclass(frozen=True)
class IssueText:
    """What an issue says, by kind of text; ``body_lines`` is prose without code, quotes and template comments."""

    title: str
    body_lines: tuple[str, ...]
    quoted_lines: tuple[str, ...] = ()
    code_lines: tuple[str, ...] = ()
    hidden_lines: tuple[str, ...] = ()
    sections: dict[str, str] = field(default_factory=dict)
    has_code: bool = False
    has_stack_trace: bool = False
    truncated: bool = False

    @property
    def prose(self) -> str:
        """The body lines as one text."""
        return "\n".join(self.body_lines)


def read_issue_text(title: str, body: str, *, max_body_chars: int = MAX_BODY_CHARS) -> IssueText:
    """Take an issue apart in time linear in its length.

    Ignored: HTML comments outside code, unticked check boxes. Set apart: fenced,
    indented and Jira code blocks, stack traces, quoted lines. Sections come from
    headings (``## Priority``), bold lines and ``Key: value`` lines named in
    ``SECTION_KEYS``; the first value of a section counts.
    """
    cut = normalize(body[:max_body_chars])
    reader = _BodyReader()
    for line in cut.splitlines():
        reader.read(line)
    return IssueText(
        title=" ".join(normalize(title[:MAX_TITLE_CHARS]).split()),
        body_lines=tuple(reader.prose),
        quoted_lines=tuple(reader.quotes),
        code_lines=tuple(reader.code),
        hidden_lines=tuple(reader.hidden),
        sections=reader.finished_sections(),
        has_code=reader.has_code,
        has_stack_trace=reader.has_stack_trace,
        truncated=len(body) > max_body_chars,
    )


def normalize(text: str) -> str:
    """Return NFKC text without zero-width and other invisible format characters."""
    if text.isascii():
        return text
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a lower-case word without its most common English endings; others stay as they are.

    Deliberately light (plural, -ing, -ed): a wrong merge costs more than a missed one.
    """
    for ending, replacement, shortest in _ENDINGS:
        if len(word) >= shortest and word.endswith(ending):
            if word.endswith(_NOT_PLURAL):
                return word
            base = word.removesuffix(ending) + replacement
            if ending in _VERB_ENDINGS and base[-1] == base[-2] and base[-1] not in "lsz":
                return base[:-1]
            return base if ending == "s" and len(base) < _SHORTEST_WITH_MUTE_E else base.removesuffix("e")
    return word.removesuffix("e") if len(word) >= _SHORTEST_WITH_MUTE_E else word


_VERB_ENDINGS = ("ing", "ed")
_NOT_PLURAL = ("ss", "us", "is")
_SHORTEST_WITH_MUTE_E = 5
# (ending, what replaces it, shortest word it is taken from); the first that fits counts.
_ENDINGS = (
    ("ies", "y", 5),
    ("ing", "", 6),
    ("ed", "", 5),
    ("sses", "ss", 5),
    ("shes", "sh", 5),
    ("ches", "ch", 5),
    ("xes", "x", 5),
    ("s", "", 4),
)
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_MAX_WORD_CHARS = 40


def words(text: str) -> list[str]:
    """Return the stems of a text in order; longer tokens (hashes, encoded data) are left out."""
    found = _WORD.findall(text.lower())
    return [stem(word) for word in found if len(word) <= _MAX_WORD_CHARS]


class _BodyReader:
    """Reads a body line by line and files each line under what it is."""

    def __init__(self) -> None:
        self.prose: list[str] = []
        self.quotes: list[str] = []
        self.code: list[str] = []
        self.hidden: list[str] = []
        self.has_code = False
        self.has_stack_trace = False
        self._sections: dict[str, list[str]] = {}
        self._section: str | None = None
        self._fence: str | None = None
        self._in_comment = False
        self._after_blank = True

    def read(self, line: str) -> None:
        if self._reads_code(line):
            return
        line = self._without_comments(line)
        if not line.strip():
            self._after_blank = True
            return
        self._file(line)
        self._after_blank = False

    def finished_sections(self) -> dict[str, str]:
        joined = {name: "\n".join(lines).strip() for name, lines in self._sections.items()}
        return {name: value for name, value in joined.items() if value.lower() not in _EMPTY_ANSWERS}

    def _reads_code(self, line: str) -> bool:
        if self._in_comment:
            return False
        fence = _FENCE.match(line)
        if self._fence is not None:
            if fence is not None and fence.group(1)[:3] == self._fence:
                self._fence = None
                return True
            self._keep_code(line)
            return True
        if fence is None:
            return False
        self._fence = fence.group(1)[:3]
        self.has_code = True
        return True

    def _keep_code(self, line: str) -> None:
        self.has_code = True
        self.code.append(line)
        if not self.has_stack_trace and _TRACE.match(line):
            self.has_stack_trace = True

    def _without_comments(self, line: str) -> str:
        if not self._in_comment and "<!--" not in line:
            return line
        return "".join(self._outside_comments(line))

    def _outside_comments(self, line: str) -> Iterator[str]:
        position = 0
        while position < len(line):
            mark = "-->" if self._in_comment else "<!--"
            found = line.find(mark, position)
            end = len(line) if found < 0 else found
            if self._in_comment:
                self.hidden.append(line[position:end])
            else:
                yield line[position:end]
            if found < 0:
                return
            self._in_comment = not self._in_comment
            position = found + len(mark)

    def _file(self, line: str) -> None:
        if _TRACE.match(line):
            self.has_stack_trace = True
            self.code.append(line)
            return
        if line.startswith(("    ", "\t")) and self._after_blank and not _LIST_ITEM.match(line):
            self._keep_code(line)
            # The next line of an indented block needs no blank line before it.
            return
        if line.lstrip().startswith(">"):
            self.quotes.append(line.lstrip().lstrip("> "))
            return
        box = _CHECKBOX.match(line)
        if box is not None and box.group(1) == " ":
            return
        self._file_prose(line)

    def _file_prose(self, line: str) -> None:
        heading = _HEADING.match(line) or _BOLD_LINE.match(line)
        if heading is not None:
            name = heading.group(1).strip().strip("#*_: ").lower()
            self._section = self._open(SECTION_KEYS.get(name))
        else:
            self._file_under_section(line)
        self.prose.append(line)

    def _file_under_section(self, line: str) -> None:
        pair = _KEY_VALUE.match(line)
        key = SECTION_KEYS.get(pair.group(1).strip().lower()) if pair else None
        if pair is not None and key is not None:
            opened = self._open(key)
            if opened is not None:
                self._sections[opened].append(pair.group(2).strip().strip("*_ "))
            self._section = opened if key in {"description", "success_criteria"} else None
        elif self._section is not None:
            self._sections[self._section].append(line.strip())

    def _open(self, key: str | None) -> str | None:
        if key is None or key in self._sections:
            return None
        self._sections[key] = []
        return key
