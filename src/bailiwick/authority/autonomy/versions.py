"""Versions of agents: what must change for trust to begin anew."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from bailiwick.audit.canonical import canonical, digest
from bailiwick.kernel.documents import decode, encode

Describe = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Given an agent's configuration, returns what of the agent decides how it behaves: the version of its
code, the configuration that matters, the ids of its models and prompts."""


class AgentVersions:
    """How each kind of agent describes its version. Filled at start, read afterwards."""

    def __init__(self) -> None:
        self._describe: dict[str, Describe] = {}

    def register(self, kind: str, describe: Describe) -> None:
        """Say how agents of a kind describe themselves."""
        self._describe[kind] = describe

    def knows(self, kind: str) -> bool:
        """Tell whether the code of a kind of agent is here."""
        return kind in self._describe

    def document(self, kind: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return the version of an agent as plain data; of a kind whose code is not here only what is known."""
        describe = self._describe.get(kind)
        behaviour = dict(configuration) if describe is None else dict(describe(configuration))
        # As JSON gives it back, so that what is stored and what is computed later are the same.
        document: dict[str, Any] = decode(encode({"kind": kind, "behaviour": behaviour}, what="an agent's version"))
        return document


def fingerprint(document: Mapping[str, Any]) -> str:
    """Return the hexadecimal SHA-256 of a version's canonical JSON."""
    return digest(canonical(document))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Name what is different between two versions, never its value: a configuration is not for everybody."""
    names = sorted({*_leaves(before)} ^ {*_leaves(after)})
    changed = sorted({name for name, _ in names})
    return (", ".join(changed[:10]) or "something") + " changed"


def _leaves(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for name, value in document.items():
        if isinstance(value, dict) and value:
            found += _leaves(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}".removeprefix("behaviour."), canonical(value)))
    return found
