"""``run.act`` is the only way to change anything outside the journal: who can speak to the outside, and why."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src" / "bailiwick"

CARRIERS = frozenset({
    "httpx", "requests", "urllib.request", "http.client", "aiohttp", "websockets", "smtplib", "ftplib", "githubkit",
    "subprocess", "socket", "ssl",
})  # fmt: skip
"""Modules by which a program reaches what is not its own."""

EXCEPTIONS = {
    "outbound/*": "carries what others ask for; it decides nothing",
    "connectors/github/client.py": "speaks to GitHub; what it can change is called by tools alone, see below",
    "connectors/github/answers.py": "reads what GitHub answered; it asks nothing",
    "identity/oidc/calling.py": "a login exchanges a code with the identity provider that a person chose; no agent can",
    "vault/providers.py": "asks a program or service for the master key",
    "recovery/programs.py": "PostgreSQL's own programs copy the installation itself, on an administrator's word",
    "storage/embedded_process.py": "runs the installation's own PostgreSQL",
    "storage/embedded_cluster.py": "runs the installation's own PostgreSQL",
    "storage/binaries.py": "runs the installation's own PostgreSQL",
    "tasks/worker.py": "the name of this machine",
    "tasks/lease.py": "the name of this machine",
    "api/*": "answers who asks; begins no conversation",
    "cli/*": "a person at the machine: starting our own processes, checking what a doctor checks",
    "bench/*": "measures an installation of its own",
}
"""Who may use one, and why that is no way around the authority."""


@dataclass(frozen=True)
class Module:
    """What a module imports and which methods it calls; the whole trees of all would fill the memory."""

    imported: frozenset[str]
    called: frozenset[str]
    applies_tools: bool
    changing: frozenset[str]

    @property
    def carriers(self) -> set[str]:
        return {name for name in CARRIERS if any(one == name or one.startswith(f"{name}.") for one in self.imported)}


@cache
def modules() -> dict[str, Module]:
    return {
        path.relative_to(SOURCE).as_posix(): read(ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def read(tree: ast.Module) -> Module:
    imported: set[str] = set()
    methods: list[ast.Attribute] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            imported |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            methods.append(node.func)
    applies_tools = any(
        method.attr == "apply" and isinstance(method.value, ast.Name) and method.value.id == "tool"
        for method in methods
    )
    called = frozenset(method.attr for method in methods)
    return Module(frozenset(imported), called, applies_tools, frozenset(changing(tree)))


def is_excepted(module: str) -> bool:
    return module in EXCEPTIONS or any(
        name.endswith("/*") and module.startswith(name.removesuffix("*")) for name in EXCEPTIONS
    )


def changing(client: ast.Module) -> set[str]:
    """Return the public methods of a client that send anything but GET."""
    verbs = {"POST", "PUT", "PATCH", "DELETE"}
    return {
        method.name
        for node in client.body
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.AsyncFunctionDef) and not method.name.startswith("_")
        and any(isinstance(part, ast.Constant) and part.value in verbs for part in ast.walk(method))
    }  # fmt: skip


def test_nobody_else_reaches_the_outside() -> None:
    strangers = {
        name: module.carriers for name, module in modules().items() if module.carriers and not is_excepted(name)
    }
    assert not strangers, "let a Tool do it, or say in EXCEPTIONS why it is no way around the authority"


def test_every_exception_is_still_one() -> None:
    with_carriers = [name for name, module in modules().items() if module.carriers]
    for excepted in EXCEPTIONS:
        assert any(name == excepted or name.startswith(excepted.removesuffix("*")) for name in with_carriers), excepted


def test_what_changes_github_is_called_by_tools_alone() -> None:
    methods = modules()["connectors/github/client.py"].changing
    assert methods >= {"comment", "delete_comment", "set_state", "add_labels", "remove_label"}
    speaks = "bailiwick.connectors.github"
    for name, module in modules().items():
        if name == "connectors/github/client.py" or not (methods & module.called):
            continue
        if any(one.startswith((f"{speaks}.client", f"{speaks}.access")) for one in module.imported):
            assert "bailiwick.effects" in module.imported, f"{name} changes GitHub and is no tool"
            assert name.endswith("tools.py"), f"{name} changes GitHub and is no module of tools"


def test_tools_are_called_by_the_step_that_applies_effects_alone() -> None:
    assert [name for name, module in modules().items() if module.applies_tools] == ["effects/applying.py"]
