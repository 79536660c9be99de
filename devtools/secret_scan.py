"""Looks through the repository for secrets that must not be in it, for default passwords and for leaky comparisons."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What real credentials look like. Tests invent some of these shapes, so they stand there split or say so.
_SHAPES = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=\s]{60}"),
    "a key of ours": re.compile(r"\bbw_[A-Za-z0-9_-]{43}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b"),
    "an AWS key": re.compile(r"\b(?:AKIA|ASIA)(?![A-Z]*EXAMPLE\b)[A-Z0-9]{16}\b"),
    "a Google key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b"),
    "a Slack token": re.compile(r"\bxox[abpr]-[A-Za-z0-9-]{20,}"),
    "an OpenAI or Anthropic key": re.compile(r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}\b"),
    "a JSON Web Token": re.compile(r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{30,}\b"),
}
# Outside the tests, which invent many; a placeholder is written in capitals.
_IN_ADDRESS = re.compile(
    r"\b(?:postgres(?:ql)?|https?|redis|amqp)://[^\s:/@'\"{}<>$]+:(?![A-Z]+@)[^\s/@'\"{}<>$*.]{4,}@"
)
_SECRET_NAME = re.compile(r"(?i)(^|_)(password|passwd|secret|api_?key|access_?token|private_?key|master_?key)$")
_COMPARED_NAME = re.compile(r"(?i)(^|_)(signature|hmac|secret|csrf|token_hash|key_hash|password_hash|otp|totp_code)$")
# Values such a name may well have: words that name a thing and open nothing.
_HARMLESS = re.compile(r"^(|password|secret|token|[a-z_]+\.[a-z_.]+|[A-Z_]+)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be there, without the secret itself."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Return the files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)  # noqa: S607 - git
    return [root / name for name in listed.stdout.decode().split("\0") if name]


def planted_secrets(files: list[Path]) -> Iterator[Finding]:
    """Yield what looks like a real credential, wherever it is; a line that says "invented" is believed."""
    for path in files:
        if not path.is_file() or path.suffix in (".png", ".gz", ".svg", ".lock"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        shapes = _SHAPES if "tests" in path.parts else {**_SHAPES, "a password in an address": _IN_ADDRESS}
        for what, shape in shapes.items():
            for found in shape.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                if "invented" not in text.splitlines()[line - 1].lower():
                    yield Finding(path, line, what)


def default_passwords(files: list[Path]) -> Iterator[Finding]:
    """Yield every secret that our source gives a value: as a default, an assignment or an argument."""
    for path, node in _nodes(files):
        for name, value in _given(node):
            text = value.value if isinstance(value, ast.Constant) else None
            if _SECRET_NAME.search(name) and isinstance(text, str) and not _HARMLESS.match(text):
                yield Finding(path, _line_of(node), f"{name} has a value in the source")


def leaky_comparisons(files: list[Path]) -> Iterator[Finding]:
    """Yield comparisons of secrets by == or !=, which take longer the more of the secret is right."""
    for path, node in _nodes(files):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, node.comparators[0]]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            if any(_COMPARED_NAME.search(_name_of(side)) for side in sides):
                yield Finding(path, node.lineno, "a secret is compared with == or !=; use hmac.compare_digest")


def _nodes(files: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in files:
        if path.suffix == ".py" and path.is_file():
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield path, node


def _given(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """Yield the names a node gives values to."""
    if isinstance(node, ast.Assign):
        yield from ((_name_of(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign):
        yield _name_of(node.target), node.value
    elif isinstance(node, ast.Call):
        yield from ((keyword.arg or "", keyword.value) for keyword in node.keywords)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        given = zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)
        yield from ((argument.arg, value) for argument, value in given)
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        yield from ((argument.arg, value) for argument, value in named)


def _line_of(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 1))


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return ""
