"""Static checks of source code in fenced blocks: Python by its syntax tree, other languages by stated patterns."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bailiwick.packs.operations.departments.body import Block
from bailiwick.packs.operations.departments.secrets_in_text import find_secrets

MAX_SOURCE_CHARS = 50_000
"""Longer blocks are not parsed: the parser's depth grows with what stands in them."""

POINTS_LOST = {"critical": 40, "high": 15, "medium": 5, "low": 1}
"""What one finding takes from 100 security points."""


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """An unsafe construct: ``severity`` is critical, high, medium or low."""

    rule: str
    severity: str
    source: str


@dataclass(frozen=True, slots=True)
class SourceReview:
    """What was found in which blocks; ``languages`` names how each readable block was read."""

    findings: tuple[SourceFinding, ...]
    languages: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def points(self) -> float | None:
        """Security points 0..100, or None when no source could be read."""
        if not self.languages:
            return None
        return max(0.0, 100.0 - sum(POINTS_LOST[one.severity] for one in self.findings))


_PYTHON = frozenset({"python", "py", "python3", "pycon"})
_LINE_RULES: dict[str, tuple[tuple[str, str, re.Pattern[str]], ...]] = {
    "javascript": (
        ("eval of text", "high", re.compile(r"\beval\s{0,3}\(|\bnew\s{1,3}Function\s{0,3}\(")),
        (
            "markup set from a value",
            "medium",
            re.compile(r"\.(?:inner|outer)HTML\s{0,3}=(?!=)|\bdocument\.write\s{0,3}\(|dangerouslySetInnerHTML"),
        ),
        (
            "command built from a value",
            "critical",
            re.compile(r"\bexec(?:Sync)?\s{0,3}\(\s{0,3}(?:`[^`\n]{0,200}\$\{|['\"][^'\"\n]{0,200}['\"]\s{0,3}\+)"),
        ),
        (
            "SQL built from a value",
            "high",
            re.compile(
                r"\b(?:query|execute)\s{0,3}\(\s{0,3}`[^`\n]{0,40}"
                r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b[^`\n]{0,200}\$\{",
                re.IGNORECASE,
            ),
        ),
        ("certificates not verified", "high", re.compile(r"rejectUnauthorized\s{0,3}:\s{0,3}false")),
    ),
    "shell": (
        (
            "download piped into a shell",
            "high",
            re.compile(r"\b(?:curl|wget)\b[^\n|]{1,300}\|\s{0,4}(?:sudo\s{1,4})?(?:ba|z)?sh\b"),
        ),
        ("files writable by everybody", "medium", re.compile(r"\bchmod\s{1,4}(?:-R\s{1,4})?(?:0?777|a\+w)\b")),
        ("eval of text", "high", re.compile(r"(?:^|[;&|]\s{0,4})eval\s")),
        ("certificates not verified", "high", re.compile(r"\bcurl\b[^\n]{0,200}\s(?:-k|--insecure)\b")),
    ),
    "java": (
        ("weak hash", "medium", re.compile(r"MessageDigest\.getInstance\(\s{0,3}\"(?:MD5|SHA-?1)\"")),
        ("command built from a value", "high", re.compile(r"\.exec\s{0,3}\([^\n)]{0,200}\+")),
        (
            "SQL built from a value",
            "high",
            re.compile(r"\.execute(?:Query|Update)?\s{0,3}\(\s{0,3}\"[^\"\n]{0,300}\"\s{0,3}\+"),
        ),
    ),
    "sql": (
        (
            "rights granted to everybody",
            "high",
            re.compile(r"\bgrant\b[^\n;]{1,200}\bto\s{1,4}public\b", re.IGNORECASE),
        ),
    ),
}
_ALIASES = {
    "js": "javascript", "jsx": "javascript", "ts": "javascript", "tsx": "javascript", "typescript": "javascript",
    "javascript": "javascript", "node": "javascript", "sh": "shell", "bash": "shell", "shell": "shell", "zsh": "shell",
    "java": "java", "kotlin": "java", "sql": "sql", "postgresql": "sql",
}  # fmt: skip
_PROMPT = re.compile(r"^(?:>>>|\.\.\.) ?", re.MULTILINE)


def review_source(blocks: Iterable[Block]) -> SourceReview:
    """Check every block of a known language; blocks of other languages (logs, XML) are no source and are left out."""
    findings: list[SourceFinding] = []
    languages: list[str] = []
    unreadable: list[str] = []
    for block in blocks:
        if block.language in _PYTHON:
            tree = parse_python(block)
            if tree is None:
                unreadable.append(
                    f"Python at {block.source} (not valid Python 3, or over {MAX_SOURCE_CHARS:,} characters)"
                )
                continue
            languages.append("python")
            findings.extend(_python_findings(tree, block))
        elif block.language in _ALIASES:
            language = _ALIASES[block.language]
            languages.append(language)
            findings.extend(_line_findings(language, block))
        else:
            continue
        findings.extend(_secret_findings(block))
    # Two rules may see one secret; a place counts once per rule.
    return SourceReview(tuple(dict.fromkeys(findings)), tuple(languages), tuple(unreadable))


def parse_python(block: Block) -> ast.Module | None:
    """Return the syntax tree of a block (prompts of a session removed), or None when it is not Python."""
    text = _PROMPT.sub("", block.text) if block.text.lstrip().startswith(">>>") else block.text
    if len(text) > MAX_SOURCE_CHARS:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _secret_findings(block: Block) -> Iterator[SourceFinding]:
    for found in find_secrets(block.lines):
        yield SourceFinding("hard-coded secret", "critical" if found.certain else "high", found.source)


def _line_findings(language: str, block: Block) -> Iterator[SourceFinding]:
    for line in block.lines:
        for rule, severity, pattern in _LINE_RULES[language]:
            if pattern.search(line.text):
                yield SourceFinding(rule, severity, line.source)


def _python_findings(tree: ast.Module, block: Block) -> Iterator[SourceFinding]:
    for node in ast.walk(tree):
        found = _judge(node)
        if found is not None:
            line = getattr(node, "lineno", 1)
            yield SourceFinding(found[0], found[1], block.source_of(line))


def _judge(node: ast.AST) -> tuple[str, str] | None:
    if isinstance(node, ast.Call):
        return _judge_call(node)
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        return "bare except", "low"
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return _judge_assignment(node)
    return None


def _judge_call(call: ast.Call) -> tuple[str, str] | None:
    name = _dotted(call.func)
    keywords = {word.arg: word.value for word in call.keywords if word.arg}
    return next((found for rule in _CALL_RULES if (found := rule(call, name, keywords)) is not None), None)


def _runs_text(call: ast.Call, name: str, keywords: dict[str, ast.expr]) -> tuple[str, str] | None:
    is_fixed = bool(call.args) and isinstance(call.args[0], ast.Constant)
    if name in ("eval", "exec") and call.args and not is_fixed:
        return "eval or exec of a value", "critical"
    if _is_true(keywords.get("shell")):
        return "shell=True", "medium" if is_fixed else "critical"
    if name in ("os.system", "os.popen") and call.args and not is_fixed:
        return "shell command built from a value", "critical"
    return None


def _loads_objects(call: ast.Call, name: str, keywords: dict[str, ast.expr]) -> tuple[str, str] | None:
    if name == "yaml.load" and not _names_safe_loader(call, keywords):
        return "yaml.load without a safe loader", "high"
    if name in ("pickle.load", "pickle.loads", "cPickle.loads", "marshal.loads", "shelve.open", "dill.loads"):
        return "unpickling", "high"
    return None


def _builds_query(call: ast.Call, name: str, keywords: dict[str, ast.expr]) -> tuple[str, str] | None:
    asks = name.rpartition(".")[2] in ("execute", "executemany", "executescript", "raw", "read_sql")
    return ("SQL built from a value", "high") if asks and call.args and _is_built_sql(call.args[0]) else None


def _weakens(call: ast.Call, name: str, keywords: dict[str, ast.expr]) -> tuple[str, str] | None:
    if name in ("hashlib.md5", "hashlib.sha1") and not _is_false(keywords.get("usedforsecurity")):
        return "weak hash", "medium"
    if _is_false(keywords.get("verify")):
        return "certificates not verified", "high"
    if name == "tempfile.mktemp":
        return "predictable temporary file", "medium"
    if _is_true(keywords.get("debug")) and name.rpartition(".")[2] == "run":
        return "debug mode on", "medium"
    return None


_CALL_RULES: tuple[Callable[[ast.Call, str, dict[str, ast.expr]], tuple[str, str] | None], ...] = (
    _runs_text,
    _loads_objects,
    _builds_query,
    _weakens,
)


def _judge_assignment(node: ast.Assign | ast.AnnAssign) -> tuple[str, str] | None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    value = node.value
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str) and len(value.value) >= 4):
        return None
    names = (_dotted(target).lower() for target in targets)
    if any(re.search(r"password|passwd|secret|api_?key|(?:^|_)token$", name) for name in names):
        placeholder = re.search(r"example|change|your|dummy|placeholder|<|\{|xxx", value.value, re.IGNORECASE)
        return None if placeholder else ("hard-coded secret", "high")
    return None


def _is_built_sql(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        built = any(isinstance(part, ast.FormattedValue) for part in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        built = not (isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant))
    else:
        built = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    if not built:
        return False
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return any(
        re.search(r"\b(?:select|insert|update|delete|drop|alter|create)\b", text, re.IGNORECASE) for text in texts
    )


def _names_safe_loader(call: ast.Call, keywords: dict[str, ast.expr]) -> bool:
    loader = keywords.get("Loader") or (call.args[1] if len(call.args) > 1 else None)
    return loader is not None and _dotted(loader).rpartition(".")[2] in ("SafeLoader", "CSafeLoader")


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts)).lstrip(".")


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
