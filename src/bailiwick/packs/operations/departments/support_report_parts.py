"""Takes a bug report apart: versions, systems, errors, stack frames, steps, what was expected and what happened."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.body import Block, Body, Line, issue_lines, read_discussion

MAX_FRAMES = 10
MAX_FOUND = 20
MIN_DESCRIPTION_WORDS = 8
_MAX_LINE = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """A value and the line it was read from."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a report says; empty where it says nothing. ``frames`` are innermost first."""

    versions: tuple[Found, ...]
    systems: tuple[Found, ...]
    errors: tuple[Found, ...]
    frames: tuple[Found, ...]
    steps: tuple[Found, ...]
    expected: Found | None
    actual: Found | None

    @property
    def known(self) -> dict[str, bool]:
        """Which of the seven parts are there."""
        return {
            "version": bool(self.versions),
            "environment": bool(self.systems),
            "error message": bool(self.errors),
            "stack trace": bool(self.frames),
            "reproduction steps": bool(self.steps),
            "expected behaviour": self.expected is not None,
            "actual behaviour": self.actual is not None,
        }


_VERSION = re.compile(
    r"(?<![\w./@-])([A-Za-z][\w.+#-]{0,40}?)(?:\s{0,3}(?:version|ver\.?)?\s{0,3}[:=@]?\s{0,3}|-)v?(\d{1,5}\.\d{1,5}(?:\.\d{1,8})?"
    r"(?:[-+.][\w.]{1,30})?)(?![\w.])",
    re.IGNORECASE,
)
_BARE_VERSION = re.compile(
    r"\bv(?:er(?:sion)?)?\.?\s{0,2}(\d{1,4}\.\d{1,5}(?:\.\d{1,8})?(?:-[\w.]{1,30})?)\b", re.IGNORECASE
)
_NOT_PRODUCTS = frozenset({
    "version", "ver", "v", "section", "step", "line", "about", "than", "by", "to", "from", "in", "on", "at", "is",
    "was", "are", "and", "or", "of", "the", "a", "took", "after", "over", "within", "for", "with", "p50", "p95", "p99",
    "sec", "ms", "cvss", "http", "rfc", "windows", "macos", "os", "x", "osx", "ubuntu", "debian", "fedora", "centos",
    "rhel", "alpine", "android", "ios", "freebsd",
})  # fmt: skip
"""Words before a number with points that name no product; operating systems are read as such."""
_SYSTEM = re.compile(
    r"\b(?:Windows(?:\s{1,2}(?:Server\s{1,2})?(?:\d{1,4}|XP|Vista))?|mac\s?OS(?:\s{1,2}(?:X\s{1,2})?[\w.]{1,20})?|OS\s?X(?:\s{1,2}[\d.]{1,10})?"
    r"|Ubuntu(?:\s{1,2}[\d.]{1,10})?|Debian(?:\s{1,2}[\w.]{1,12})?|Fedora(?:\s{1,2}\d{1,3})?|CentOS(?:\s{1,2}[\d.]{1,8})?|RHEL(?:\s{0,2}[\d.]{1,6})?"
    r"|Alpine(?:\s{1,2}[\d.]{1,8})?|Arch\s{1,2}Linux|Linux|Android(?:\s{1,2}[\d.]{1,8})?|iOS(?:\s{1,2}[\d.]{1,8})?|FreeBSD(?:\s{1,2}[\d.]{1,6})?"
    r"|Chrome(?:\s{1,2}[\d.]{1,20})?|Firefox(?:\s{1,2}[\d.]{1,20})?|Safari(?:\s{1,2}[\d.]{1,20})?|Docker|Kubernetes|WSL2?)\b"
)
_ON_SYSTEM = re.compile(
    r"\bon\s{1,3}(windows|linux|mac(?:\s?os)?|osx|ubuntu|debian|android|ios|chrome|firefox|safari|edge|ie\s?\d{1,2})\b",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"\b(?:can(?:'t|not|\s{1,3}not)|(?:do|does|did|is|are|was|has|wo|should)(?:n't|\s{1,3}not)|not\s{1,3}(?:working|found|able)|fail(?:s|ed|ing|ure)?|broken|breaks?|"
    r"crash\w{0,4}|error|exception|wrong|incorrect\w{0,2}|hangs?|freez\w{1,3}|leak\w{0,4}|missing|unable|regression|undefined|invalid|ignored?s?|lost|stuck)\b",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\b((?:[A-Za-z_$][\w$]{0,60}\.){0,12}[A-Z][\w$]{0,60}(?:Error|Exception|Fault|Panic|Warning))\b(?::\s{0,3}(\S.{0,300}))?"
)
_ERROR_LINE = re.compile(
    r"^\s{0,20}(?:npm\s{1,3}ERR!\s{1,3}(?=\S)|(?:fatal\s{1,3})?error(?:\[\w{1,10}\])?:\s{1,3}|fatal:\s{1,3}|panic:\s{1,3}|ERROR\s{1,4}[\[:\w])(.{3,300})",
    re.IGNORECASE,
)
_ERROR_CODE = re.compile(
    r"\b(?:E(?:NOENT|ACCES|PERM|CONNREFUSED|CONNRESET|TIMEDOUT|ADDRINUSE|EXIST|NOTFOUND|PIPE|MFILE|NOSPC|BUSY|ISDIR|NOTEMPTY|INVAL)"
    r"|SIG(?:SEGV|ABRT|KILL|BUS)|(?:HTTP|status(?:\s{1,2}code)?)[ :/]{1,4}[45]\d\d|exit(?:ed"
    r" with)?\s{1,3}(?:code|status)\s{1,3}\d{1,3})\b",
    re.IGNORECASE,
)
_FRAMES: tuple[re.Pattern[str], ...] = (
    re.compile(r'^\s{0,40}File "([^"]{1,300})", line (\d{1,7}), in (\S{1,100})'),
    re.compile(r"^\s{0,40}at (?:async )?([\w$.<>\[\] /-]{1,200}?) \((.{1,300}?):(\d{1,7}):\d{1,7}\)\s{0,10}$"),
    re.compile(r"^\s{0,40}at ()((?:file://|/|[A-Za-z]:\\|node:|internal/)[^\s()]{1,300}):(\d{1,7}):\d{1,7}\s{0,10}$"),
    re.compile(r"^\s{0,40}at ([\w$.<>/]{1,250})\((Unknown Source|Native Method|[\w$.]{1,100}(?::\d{1,7})?)\)"),
    re.compile(r"^\s{0,40}(\S{1,200}\.go):(\d{1,7})(?: \+0x[0-9a-f]{1,8})?\s{0,10}$"),
)
_INLINE_EXPECTED = re.compile(
    r"\b(?:i(?:'d| would)? expect(?:ed)?|expected(?: behaviou?r| result)?:|should"
    r" (?:have|instead|return|be|show|not))\s{0,3}(.{3,300})",
    re.IGNORECASE,
)
_INLINE_ACTUAL = re.compile(
    r"\b(?:actual(?:ly)?(?: behaviou?r| result)?:|instead(?:,| it| I)|but (?:it|I get|I got|the|we)|what"
    r" happens)\s{0,3}(.{3,300})",
    re.IGNORECASE,
)
_DEMO = re.compile(
    r"https?://(?:www\.)?(?:jsfiddle\.net|codepen\.io|codesandbox\.io|stackblitz\.com|gist\.github\.com|jsbin\.com|plnkr\.co|replit\.com)/[\w./?=&#-]{1,200}",
    re.IGNORECASE,
)
_STEP = re.compile(r"^\s{0,12}(?:\d{1,3}[.)]|[-*+])\s{1,6}(\S.{1,300})")


def read_report(issue: IssueRecord) -> ReportParts:
    """Read the parts of a report from its title, body and comments; each value keeps its place."""
    body = read_discussion(issue)
    lines = [Line(line.source, line.text[:_MAX_LINE]) for line in issue_lines(issue)]
    return ReportParts(
        versions=_unique(_versions(lines)),
        systems=_unique(_systems(lines)),
        errors=_unique(_errors(lines)),
        frames=_frames(lines),
        steps=_steps(body),
        expected=_section(
            body, "expected", "expected behavior", "expected behaviour", "expected result", "what did you expect"
        )
        or _inline(body, _INLINE_EXPECTED),
        actual=_section(
            body,
            "actual",
            "actual behavior",
            "actual behaviour",
            "actual result",
            "what happened",
            "current behavior",
            "current behaviour",
            "observed",
        )
        or _inline(body, _INLINE_ACTUAL)
        or (Found(issue.title, "issue title") if _FAILURE.search(issue.title) else _description(issue, body)),
    )


def error_names(parts: ReportParts) -> set[str]:
    """Return the last words of the exception names and the error codes, for comparing two reports."""
    return {found.value.partition(":")[0].rpartition(".")[2].lower() for found in parts.errors}


def _versions(lines: Iterable[Line]) -> Iterable[Found]:
    for line in lines:
        named = [
            match for match in _VERSION.finditer(line.text) if match.group(1).lower().strip(".-") not in _NOT_PRODUCTS
        ]
        for match in named:
            yield Found(f"{match.group(1).rstrip('.-')} {match.group(2)}", line.source)
        if not named:
            for match in _BARE_VERSION.finditer(line.text):
                yield Found(match.group(1), line.source)


def _systems(lines: Iterable[Line]) -> Iterable[Found]:
    for line in lines:
        named = list(_SYSTEM.finditer(line.text))
        for match in named:
            yield Found(match.group().strip(), line.source)
        for match in () if named else _ON_SYSTEM.finditer(line.text):
            yield Found(match.group(1), line.source)


def _errors(lines: Iterable[Line]) -> Iterable[Found]:
    for line in lines:
        named = _ERROR.search(line.text)
        if named is not None:
            message = f": {named.group(2).strip()}" if named.group(2) else ""
            yield Found(f"{named.group(1)}{message}", line.source)
            continue
        stated = _ERROR_LINE.match(line.text)
        if stated is not None:
            yield Found(stated.group(1).strip(), line.source)
            continue
        for code in _ERROR_CODE.finditer(line.text):
            yield Found(code.group(), line.source)


def _frames(lines: Sequence[Line]) -> tuple[Found, ...]:
    python: list[Found] = []
    others: list[Found] = []
    for line in lines:
        for position, pattern in enumerate(_FRAMES):
            match = pattern.match(line.text)
            if match is not None:
                said = " ".join(part for part in match.groups() if part)
                (python if position == 0 else others).append(Found(said, line.source))
                break
    # Python prints the innermost call last, the others first.
    return tuple([*reversed(python), *others][:MAX_FRAMES])


def _steps(body: Body) -> tuple[Found, ...]:
    section = body.find_section(
        "steps to reproduce",
        "reproduction steps",
        "how to reproduce",
        "to reproduce",
        "reproduction",
        "reproduce",
        "steps",
        "repro",
    )
    if section is not None:
        items = section.items or tuple(line.strip() for line in section.text.splitlines() if line.strip())
        return tuple(Found(item[:300], section.source) for item in items[:MAX_FOUND])
    numbered = [
        (line, match) for line in body.prose if (match := _STEP.match(line.text)) and line.text.strip()[0].isdigit()
    ]
    # A single numbered line is more often prose than a procedure.
    if len(numbered) > 1:
        return tuple(Found(match.group(1), line.source) for line, match in numbered[:MAX_FOUND])
    example = next((block for block in body.blocks if _is_example(block)), None)
    if example is not None:
        return (Found(f"run the example of {len(example.text.splitlines())} lines", example.source),)
    link = next(((line, match) for line in body.prose if (match := _DEMO.search(line.text))), None)
    return (Found(f"open {link[1].group()}", link[0].source),) if link is not None else ()


def _is_example(block: Block) -> bool:
    # What a program printed shows the failure, not the way to it.
    if not block.text.strip() or block.language in ("log", "text", "console"):
        return False
    lines = [line[:_MAX_LINE] for line in block.text.splitlines()]
    printed = (_ERROR_LINE, *_FRAMES)
    return not any(pattern.match(line) for line in lines for pattern in printed) and not _ERROR.search("\n".join(lines))


def _description(issue: IssueRecord, body: Body) -> Found | None:
    # A report in plain words tells what happens before anything else.
    if len(issue.body.split()) < MIN_DESCRIPTION_WORDS:
        return None
    line = next((line for line in body.prose if line.text.strip() and not line.text.startswith(("#", ">", "|"))), None)
    return None if line is None else Found(line.text.strip()[:300], line.source)


def _section(body: Body, *names: str) -> Found | None:
    section = body.find_section(*names)
    return None if section is None else Found(" ".join(section.text.split())[:300], section.source)


def _inline(body: Body, pattern: re.Pattern[str]) -> Found | None:
    for line in body.prose:
        match = pattern.search(line.text[:_MAX_LINE])
        if match is not None:
            return Found(match.group().strip(), line.source)
    return None


def _unique(found: Iterable[Found]) -> tuple[Found, ...]:
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(one.value.lower(), one)
        if len(first) >= MAX_FOUND:
            break
    return tuple(first.values())
