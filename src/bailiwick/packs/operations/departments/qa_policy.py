"""The policy that code and configuration in an issue are held to; 100 points less 20 for every rule broken."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bailiwick.packs.operations.departments.body import Block, Line
from bailiwick.packs.operations.departments.qa_reports import Coverage
from bailiwick.packs.operations.departments.qa_source import parse_python
from bailiwick.packs.operations.departments.security_compliance import POINTS_PER_VIOLATION, find_breaches

MIN_COVERAGE = 0.80

_CODE = frozenset({
    "python", "py", "python3", "js", "jsx", "ts", "tsx", "javascript", "typescript", "java", "kotlin", "go",
    "rust", "c", "cpp", "c++", "csharp", "cs", "ruby", "rb", "php", "scala", "swift", "sh", "bash", "shell", "zsh",
    "sql", "yaml", "yml", "toml", "ini", "hcl", "terraform", "tf", "dockerfile", "docker", "nginx",
})  # fmt: skip
_UNFINISHED = re.compile(r"(?:#|//|/\*|--)\s{0,4}(?:TODO|FIXME|XXX|HACK)\b")


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule and where it is broken."""

    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What was checked and found; ``blocks`` is how many blocks of code or configuration there were."""

    violations: tuple[Violation, ...]
    blocks: int

    @property
    def points(self) -> float | None:
        """Compliance points 0..100, or None when there was nothing to check."""
        if not self.blocks:
            return None
        return float(max(0, 100 - POINTS_PER_VIOLATION * len({one.rule for one in self.violations})))


def review_policy(blocks: Iterable[Block], coverage: Coverage | None) -> Policy:
    """Check code and configuration: the content policy, unfinished marks, undocumented Python, coverage below 80%."""
    code = [block for block in blocks if block.language in _CODE]
    violations = [violation for block in code for violation in _in_block(block)]
    if code and coverage is not None and coverage.rate < MIN_COVERAGE:
        violations.append(Violation("coverage-80", coverage.source))
    return Policy(tuple(dict.fromkeys(violations)), len(code))


def _in_block(block: Block) -> list[Violation]:
    lines = block.lines
    found = [Violation(one.rule, one.source) for one in find_breaches(lines)]
    found += [Violation("no-unfinished-marks", line.source) for line in lines if _UNFINISHED.search(line.text)]
    return found + _undocumented(block, lines)


def _undocumented(block: Block, lines: Sequence[Line]) -> list[Violation]:
    tree = parse_python(block) if block.language in ("python", "py", "python3") else None
    public = [
        node
        for node in (tree.body if tree is not None else [])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith(("_", "test"))
    ]
    return [
        Violation("documented-code", lines[min(node.lineno, len(lines)) - 1].source)
        for node in public
        if ast.get_docstring(node) is None
    ]
