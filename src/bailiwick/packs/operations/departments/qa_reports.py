"""Reads test, coverage and benchmark reports that stand in fenced blocks: JUnit XML, Cobertura XML, pytest output.

XML comes from outside: a document that declares entities or carries its own
DTD is refused, external DTDs are never loaded, depth and size are bounded.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# expat is used bare so that declarations can be refused before anything expands.
from xml.parsers import expat

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.departments.body import Block

MAX_ELEMENTS = 200_000
MAX_DEPTH = 100


@dataclass(slots=True)
class Element:
    """An XML element: its name without namespace, attributes, children in order."""

    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list["Element"])

    def all(self, name: str) -> list["Element"]:
        """Return the descendants of that name, this element included, in document order."""
        found: list[Element] = []
        stack: list[Element] = [self]
        while stack:
            element = stack.pop()
            if element.name == name:
                found.append(element)
            stack.extend(reversed(element.children))
        return found


def read_xml(text: str) -> Element:
    """Return the root of an XML text.

    Raises:
        InvalidInputError: not well-formed, with entity declarations or an internal DTD, too deep or too large.
    """
    reader = _XmlReader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.EntityDeclHandler = reader.entity
    try:
        parser.Parse(text.strip().encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise InvalidInputError(f"not well-formed XML: {error}") from error
    if reader.root is None:
        raise InvalidInputError("the XML holds no element")
    return reader.root


class _XmlReader:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise InvalidInputError(f"XML with more than {MAX_ELEMENTS:,} elements or {MAX_DEPTH} levels is refused")
        element = Element(name.rpartition(":")[2], attributes)
        if self._open:
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        self._open.pop()

    def doctype(self, name: str, system_id: str | None, public_id: str | None, has_internal_subset: int) -> None:
        if has_internal_subset:
            raise InvalidInputError("XML with an internal DTD is refused")

    def entity(self, *declaration: object) -> None:
        raise InvalidInputError("XML with entity declarations is refused")


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test: ``outcome`` is passed, failed (errors included), skipped or flaky (failed, then passed on a rerun)."""

    __test__ = False  # pytest would take the name for a test class

    name: str
    outcome: str
    seconds: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of lines that tests reached, 0..1, and how many lines it was counted over when known."""

    rate: float
    lines: int | None
    source: str
    worst_files: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reports:
    """Every report found in an issue; ``summaries`` are (passed, failed, source) of plain pytest output."""

    cases: tuple[TestCase, ...]
    runs: int
    summaries: tuple[tuple[int, int, str], ...]
    coverages: tuple[Coverage, ...]
    refused: tuple[str, ...]

    @property
    def passed(self) -> int:
        """Tests that passed, flaky ones included, or the last summary's count."""
        if self.cases:
            return sum(case.outcome in ("passed", "flaky") for case in self.cases)
        return self.summaries[-1][0] if self.summaries else 0

    @property
    def failed(self) -> int:
        """Tests that failed."""
        if self.cases:
            return sum(case.outcome == "failed" for case in self.cases)
        return self.summaries[-1][1] if self.summaries else 0

    @property
    def coverage(self) -> Coverage | None:
        """The last coverage report: later ones supersede earlier ones."""
        return self.coverages[-1] if self.coverages else None


_PYTEST_SUMMARY = re.compile(
    r"^={0,100} ?(?=[^\n]{0,200}\b(?:passed|failed|error))((?:\d{1,7} [a-z]{2,12}(?:, | ))+)in \d", re.MULTILINE
)
_SUMMARY_PART = re.compile(r"(\d{1,7}) (passed|failed|error)")
_COVERAGE_TOTAL = re.compile(
    r"^TOTAL[ \t]{1,20}(\d{1,8})[ \t]{1,20}(\d{1,8})(?:[ \t]{1,20}\d{1,8}){0,2}[ \t]{1,20}\d{1,3}(?:\.\d{1,4})?%",
    re.MULTILINE,
)


def read_reports(blocks: Iterable[Block]) -> Reports:
    """Read every report that the blocks hold; what looks like one but cannot be read is named in ``refused``."""
    cases: list[TestCase] = []
    summaries: list[tuple[int, int, str]] = []
    coverages: list[Coverage] = []
    refused: list[str] = []
    runs = 0
    for block in blocks:
        if block.text.lstrip().startswith("<"):
            try:
                root = read_xml(block.text)
            except InvalidInputError as error:
                if "testsuite" in block.text or "coverage" in block.text or block.language == "xml":
                    refused.append(f"{block.source}: {error}")
                continue
            if root.name in ("testsuites", "testsuite"):
                runs += 1
                cases.extend(_test_cases(root, block.source))
            elif root.name == "coverage":
                coverages.extend(_cobertura(root, block.source))
            continue
        summaries.extend(_pytest_summaries(block))
        coverages.extend(_coverage_totals(block))
    return Reports(tuple(cases), runs, tuple(summaries), tuple(coverages), tuple(refused))


def find_flaky(cases: Sequence[TestCase]) -> dict[str, tuple[int, int]]:
    """Return the tests that both passed and failed in the reports given: name to (passes, failures)."""
    outcomes: dict[str, list[int]] = {}
    for case in cases:
        counts = outcomes.setdefault(case.name, [0, 0])
        counts[0] += case.outcome in ("passed", "flaky")
        counts[1] += case.outcome in ("failed", "flaky")
    return {name: (good, bad) for name, (good, bad) in sorted(outcomes.items()) if good and bad}


def _test_cases(root: Element, source: str) -> list[TestCase]:
    return [
        TestCase(
            name=".".join(filter(None, (case.attributes.get("classname"), case.attributes.get("name")))) or "(unnamed)",
            outcome=_outcome({child.name for child in case.children}),
            seconds=_number(case.attributes.get("time")),
            source=source,
        )
        for case in root.all("testcase")
    ]


def _outcome(marks: set[str]) -> str:
    if marks & {"failure", "error"}:
        return "failed"
    # Surefire writes these when a rerun passed.
    if marks & {"flakyFailure", "flakyError"}:
        return "flaky"
    return "skipped" if "skipped" in marks else "passed"


def _cobertura(root: Element, source: str) -> list[Coverage]:
    files: list[tuple[str, float]] = []
    hit = total = 0
    for part in root.all("class"):
        # A class lists its lines once more under its methods; its own list is complete.
        lines = [line for group in part.children if group.name == "lines" for line in group.children]
        covered = sum((_number(line.attributes.get("hits")) or 0) > 0 for line in lines)
        hit, total = hit + covered, total + len(lines)
        if lines:
            files.append((part.attributes.get("filename") or part.attributes.get("name") or "?", covered / len(lines)))
    stated = _number(root.attributes.get("line-rate"))
    if total:
        return [Coverage(hit / total, total, source, tuple(sorted(files, key=lambda one: one[1])[:5]))]
    if stated is not None and 0 <= stated <= 1:
        return [Coverage(stated, None, source)]
    return []


def _pytest_summaries(block: Block) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for match in _PYTEST_SUMMARY.finditer(block.text):
        counts = {"passed": 0, "failed": 0, "error": 0}
        for number, name in _SUMMARY_PART.findall(match.group(1)):
            counts[name] += int(number)
        found.append((counts["passed"], counts["failed"] + counts["error"], block.source))
    return found


def _coverage_totals(block: Block) -> list[Coverage]:
    found: list[Coverage] = []
    for match in _COVERAGE_TOTAL.finditer(block.text):
        statements, missed = int(match.group(1)), int(match.group(2))
        if statements > 0 and missed <= statements:
            found.append(Coverage((statements - missed) / statements, statements, block.source))
    return found


def _number(text: str | None) -> float | None:
    try:
        return float(text.replace(",", "")) if text else None
    except ValueError:
        return None
