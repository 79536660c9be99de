"""``run.act`` is the only way to change anything outside the journal: who can speak to the outside, and why."""

import ast
from collections.abc import Iterator
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


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def carriers(tree: ast.Module) -> set[str]:
    return {name for name in CARRIERS if any(one == name or one.startswith(f"{name}.") for one in imported(tree))}


def is_excepted(module: str) -> bool:
    return module in EXCEPTIONS or any(
        name.endswith("/*") and module.startswith(name.removesuffix("*")) for name in EXCEPTIONS
    )


def called(tree: ast.Module) -> set[str]:
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_nobody_else_reaches_the_outside() -> None:
    found = {module: carriers(tree) for module, tree in modules()}
    strangers = {module: names for module, names in found.items() if names and not is_excepted(module)}
    assert not strangers, "let a Tool do it, or say in EXCEPTIONS why it is no way around the authority"


def test_every_exception_is_still_one() -> None:
    with_carriers = [module for module, tree in modules() if carriers(tree)]
    for name in EXCEPTIONS:
        assert any(module == name or module.startswith(name.removesuffix("*")) for module in with_carriers), name


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


def test_what_changes_github_is_called_by_tools_alone() -> None:
    trees = dict(modules())
    methods = changing(trees["connectors/github/client.py"])
    assert methods >= {"comment", "delete_comment", "set_state", "add_labels", "remove_label"}
    speaks = "bailiwick.connectors.github"
    for module, tree in trees.items():
        if module == "connectors/github/client.py" or not (methods & called(tree)):
            continue
        if any(name.startswith((f"{speaks}.client", f"{speaks}.access")) for name in imported(tree)):
            assert "bailiwick.effects" in imported(tree), f"{module} changes GitHub and is no tool"
            assert module.endswith("tools.py"), f"{module} changes GitHub and is no module of tools"


def test_tools_are_called_by_the_step_that_applies_effects_alone() -> None:
    callers = [
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply"
        and isinstance(node.func.value, ast.Name) and node.func.value.id == "tool"
    ]  # fmt: skip
    assert callers == ["effects/applying.py"]
