"""The fourteen agents of the operations pack: their operations and the labels that name them.

Who does what is data (``data/roster.toml``); this module reads it and answers
which agent a label names.

Bug reports, wishes and questions belong to ``support``: it takes them in,
finds duplicates and asks for what is missing. ``developer`` is named when
somebody asks for code (``development/bug-fix``, ``refactor``), because it
needs a specification that a fresh report does not have.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, TypedDict

LabelRule = Literal["operation", "agent", "prefix", "department", "synonym"]

RULE_CONFIDENCE: Mapping[LabelRule, float] = MappingProxyType(
    {"operation": 1.0, "agent": 1.0, "prefix": 0.95, "department": 0.9, "synonym": 0.8}
)
"""How sure each form of label makes us; the order of the rules is the order of precedence.

``operation``: ``security/threat-detection``. ``agent``: ``agent:qa``. ``prefix``: a known
prefix with an operation nobody owns. ``department``: a bare label that is an agent's name
or an operation's. ``synonym``: a word listed for it (``bug``, ``invoice``). The figures are
stated, not measured: they say how much a label leaves open, and ``backtest`` measures it.
"""

_AGENT_SCOPES = frozenset({"agent", "department", "dept", "team", "owner", "assign", "assigned", "assignee", "squad"})
_TYPE_SCOPES = frozenset(
    {"type", "kind", "category", "issue", "issue-type", "area", "scope", "component", "topic", "c"}
)


@dataclass(frozen=True)
class Operation:
    """One thing an agent does; ``labels`` are bare labels that ask for it."""

    name: str
    purpose: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class AgentKind:
    """One of the fourteen agents. The first operation is the one meant when none is named."""

    name: str
    title: str
    purpose: str
    prefixes: tuple[str, ...]
    labels: tuple[str, ...]
    operations: tuple[Operation, ...]

    def operation(self, name: str) -> Operation:
        """Return the operation of that name.

        Raises:
            KeyError: this agent has no such operation.
        """
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise KeyError(f"{self.name} has no operation {name!r}")


@dataclass(frozen=True)
class LabelMatch:
    """What one label says: the agent, its operation if the label names one, and by which rule."""

    label: str
    agent: str
    operation: str | None
    rule: LabelRule

    @property
    def confidence(self) -> float:
        """The stated confidence of the rule."""
        return RULE_CONFIDENCE[self.rule]


class _OperationRow(TypedDict):
    purpose: str
    labels: list[str]


class _AgentRow(TypedDict):
    title: str
    purpose: str
    prefixes: list[str]
    labels: list[str]
    operations: dict[str, _OperationRow]


def _read_roster() -> dict[str, AgentKind]:
    source = resources.files("bailiwick.packs.operations").joinpath("data/roster.toml").read_text(encoding="utf-8")
    rows: dict[str, _AgentRow] = tomllib.loads(source)  # pyright: ignore[reportAssignmentType] - shape is tested
    return {name: _agent_kind(name, row) for name, row in rows.items()}


def _agent_kind(name: str, row: _AgentRow) -> AgentKind:
    operations = tuple(
        Operation(key, operation["purpose"], tuple(operation["labels"])) for key, operation in row["operations"].items()
    )
    return AgentKind(name, row["title"], row["purpose"], tuple(row["prefixes"]), tuple(row["labels"]), operations)


AGENTS: Mapping[str, AgentKind] = MappingProxyType(_read_roster())
"""The fourteen agents by name."""


@dataclass(frozen=True)
class _LabelIndex:
    prefixes: Mapping[str, str]
    operations: Mapping[tuple[str, str], str]
    bare: Mapping[str, tuple[str, str | None, LabelRule]]


def _bare_entries() -> Iterator[tuple[str, tuple[str, str | None, LabelRule]]]:
    # Later entries give way to earlier ones: an agent's own name beats a synonym of another.
    for agent in AGENTS.values():
        yield agent.name, (agent.name, None, "department")
    owners = Counter(operation.name for agent in AGENTS.values() for operation in agent.operations)
    for agent in AGENTS.values():
        for operation in agent.operations:
            # Both finance and security own "compliance": alone, that label decides nothing.
            if owners[operation.name] == 1:
                yield operation.name, (agent.name, operation.name, "department")
    for agent in AGENTS.values():
        for operation in agent.operations:
            for label in operation.labels:
                yield label, (agent.name, operation.name, "synonym")
        for label in agent.labels:
            yield label, (agent.name, None, "synonym")


def _build_index() -> _LabelIndex:
    bare: dict[str, tuple[str, str | None, LabelRule]] = {}
    for label, entry in _bare_entries():
        bare.setdefault(label, entry)
    prefixes = {prefix: agent.name for agent in AGENTS.values() for prefix in agent.prefixes}
    operations = {(agent.name, one.name): one.name for agent in AGENTS.values() for one in agent.operations}
    return _LabelIndex(prefixes, operations, bare)


_INDEX = _build_index()
_NOT_NAME = re.compile(r"[^a-z0-9]+")
# Some projects number their types: "t1 bug", "t³ enhancement".
_TYPE_NUMBER = re.compile(r"^[a-z]\d-")


def label_parts(label: str) -> tuple[str | None, str]:
    """Split a label into its scope and name, both as lower-case words joined by hyphens.

    ``type: Bug`` gives ``("type", "bug")``; emoji and other symbols are dropped.
    """
    text = unicodedata.normalize("NFKC", label).lower()
    scope, separator, name = text.replace("::", "/").replace(":", "/").partition("/")
    if not separator:
        return None, _slug(scope)
    # ":bug:" is an emoji code, not a scope.
    return (_slug(scope) or None), _slug(name)


def _slug(text: str) -> str:
    return _NOT_NAME.sub("-", text).strip("-")


@lru_cache(maxsize=16_384)
def match_label(label: str) -> LabelMatch | None:
    """Say which agent a label names, or None when it names none."""
    scope, name = label_parts(label)
    name = _TYPE_NUMBER.sub("", name)
    if scope in _AGENT_SCOPES:
        return _match_agent_name(label, name)
    if scope is not None and scope in _INDEX.prefixes:
        agent = _INDEX.prefixes[scope]
        operation = _operation_of(agent, name)
        return LabelMatch(label, agent, operation, "operation" if operation else "prefix")
    if scope is None or scope in _TYPE_SCOPES:
        entry = _INDEX.bare.get(name)
        return None if entry is None else LabelMatch(label, *entry)
    return None


def _match_agent_name(label: str, name: str) -> LabelMatch | None:
    agent = name if name in AGENTS else _INDEX.prefixes.get(name)
    return None if agent is None else LabelMatch(label, agent, None, "agent")


def _operation_of(agent: str, name: str) -> str | None:
    if (agent, name) in _INDEX.operations:
        return name
    return next((one.name for one in AGENTS[agent].operations if name in one.labels), None)


def match_labels(labels: Iterable[str]) -> tuple[LabelMatch, ...]:
    """Return what the labels say, strongest rule first, in the labels' order within a rule.

    When an agent is named without an operation, another label may name it
    (``agent:support`` with ``bug``); the first match then carries it.
    """
    found = [match for match in map(match_label, labels) if match is not None]
    # Labels without an operation say less, so they follow those with one.
    found.sort(key=lambda match: (-match.confidence, match.operation is None))
    if not found or found[0].operation is not None:
        return tuple(found)
    first = found[0]
    operation = next((other.operation for other in found if other.agent == first.agent and other.operation), None)
    return (LabelMatch(first.label, first.agent, operation, first.rule), *found[1:])
