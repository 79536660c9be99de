"""What is registered with the platform: settings, events, tasks, agents, schedules, errors, metrics."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import bailiwick
from bailiwick.extensions import Registry
from bailiwick.installation import Settings
from bailiwick.kernel.errors import BailiwickError
from bailiwick.tasks import TaskKind
from bailiwick.tasks.schedules import NewSchedule
from bailiwick.telemetry.metrics import REGISTRY
from devtools.reference.markdown import code, first_line, table

# What only the benchmark's own dependencies can import.
_NOT_OURS = ("bailiwick.bench.rivals", "bailiwick.storage.migrations")


def settings() -> str:
    """Return every setting with its default and bounds."""
    rows = [
        (code(variable_of(name)), _default(field), _bounds(field), field.description)
        for name, field in Settings.model_fields.items()
    ]
    return table(("Variable", "Default", "May be", "What it sets"), rows)


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting."""
    return f"BAILIWICK_{setting.upper()}"


def event_types(registry: Registry) -> str:
    """Return every type of event with its payload and the task that follows from it."""
    follows: dict[str, list[str]] = {}
    for subscription in registry.subscriptions.all():
        follows.setdefault(subscription.event_type, []).append(code(subscription.task_kind))
    rows: list[tuple[object, ...]] = []
    for name in registry.event_types.names():
        event_type = registry.event_types.get(name)
        rows.append((code(name), event_type.version, _model(event_type.payload), ", ".join(follows.get(name, []))))
    return table(("Type", "Version", "Payload", "Task that follows"), rows)


def task_kinds(registry: Registry) -> str:
    """Return every kind of task with its payload, retries and timeout."""
    rows: list[tuple[object, ...]] = []
    for name in registry.kinds.names():
        kind = registry.kinds.get(name)
        tries = f"{kind.retry.max_attempts}, the second after {kind.retry.first_delay_seconds:g} s"
        rows.append((code(name), _what(kind), _model(kind.payload), tries, f"{kind.timeout_seconds:g} s"))
    return table(("Kind", "What it does", "Payload", "Tries", "Timeout"), rows)


def event_payloads(registry: Registry) -> str:
    """Return the payloads of events with what they tell and their fields."""
    return _models({registry.event_types.get(name).payload for name in registry.event_types.names()})


def task_payloads(registry: Registry) -> str:
    """Return the payloads of tasks with what they ask for and their fields."""
    return _models({registry.kinds.get(name).payload for name in registry.kinds.names()})


def agents(registry: Registry) -> str:
    """Return the agents that every new organization begins with."""
    rows = [
        (agent.name, code(agent.kind), code(registry.agent_kinds[agent.kind]), f"{agent.price:g}", agent.capacity)
        for agent in registry.staff
    ]
    return table(("Agent", "Kind", "Does tasks of kind", "Price per task", "Tasks at once"), rows)


def schedules(registry: Registry) -> str:
    """Return the schedules that come with the platform."""
    rows = [
        (
            code(schedule.name), code(schedule.kind), _when(schedule), code(schedule.overlap), code(schedule.catch_up),
            "every organization" if scope == "organization" else "the home organization",
        )
        for schedule, scope in registry.schedules
    ]  # fmt: skip
    return table(("Schedule", "Task kind", "When", "Overlap", "Catch-up", "Made for"), rows)


def errors() -> str:
    """Return every error that has a code of its own."""
    rows = [
        (code(error.code), error.http_status, "yes" if error.retryable else "no", first_line(error.__doc__))
        for error in sorted(error_classes(), key=lambda one: one.code)
    ]
    return table(("Code", "HTTP", "Retry", "What it means"), rows)


def error_classes() -> list[type[BailiwickError]]:
    """Return the errors that a person can meet, each code once."""
    for module in walk_packages(bailiwick.__path__, "bailiwick."):
        if not module.name.startswith(_NOT_OURS):
            import_module(module.name)
    found: dict[str, type[BailiwickError]] = {}
    for error in _below(BailiwickError):
        if "code" in vars(error) and error.__module__.startswith("bailiwick."):
            found.setdefault(error.code, error)
    return list(found.values())


def metrics(exposition: str) -> str:
    """Return every metric in what ``/metrics`` answered, with its labels."""
    rows = [
        (code(name), family.type, ", ".join(code(label) for label in _labels(family)), family.documentation)
        for name, family in metric_families(exposition)
    ]
    return table(("Metric", "Kind", "Labels", "What it counts"), rows)


def metric_families(exposition: str) -> list[tuple[str, Any]]:
    """Return our metrics by name, sorted."""
    families = [
        (f"{family.name}_total" if family.type == "counter" else family.name, family)
        for family in text_string_to_metric_families(exposition)
        if family.name.startswith("bailiwick_") and not family.name.endswith("_created")
    ]
    return sorted(families, key=lambda named: named[0])


def _labels(family: Any) -> list[str]:
    # A metric that nothing has counted yet shows no labels, but its collector knows them.
    collector = REGISTRY._names_to_collectors.get(family.name)  # pyright: ignore[reportPrivateUsage]
    declared = getattr(collector, "_labelnames", ())
    seen = {name for sample in family.samples for name in sample.labels if name != "le"}
    return sorted({*declared, *seen})


def _below(base: type[BailiwickError]) -> Iterator[type[BailiwickError]]:
    for error in base.__subclasses__():
        yield error
        yield from _below(error)


def _what(kind: TaskKind) -> str:
    said = inspect.getdoc(kind.handler)
    if said is None and kind.name.endswith(".work"):
        return f"One piece of work of an agent of kind `{kind.name.removesuffix('.work')}`."
    return first_line(said or kind.payload.__doc__)


def _model(model: type[BaseModel]) -> str:
    return f"[{code(model.__name__)}](#{model.__name__.lower()})"


def _models(models: set[type[BaseModel]]) -> str:
    parts: list[str] = []
    for model in sorted(models, key=lambda one: (one.__name__, one.__module__)):
        fields = [
            code(name) + ("" if field.is_required() else " (optional)") for name, field in model.model_fields.items()
        ]
        parts.append(f"### {model.__name__}\n\n{_paragraph(model)}\n\nFields: {', '.join(fields) or 'none'}.")
    return "\n\n".join(parts)


def _paragraph(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split()).replace("``", "`")


def _when(schedule: NewSchedule) -> str:
    if schedule.cron is not None:
        return f"cron {code(schedule.cron)} in {schedule.timezone}"
    return f"every {schedule.interval_seconds or 0:g} s"


def _default(field: FieldInfo) -> str:
    return "none" if field.default is None else code(field.default)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "at least", "le": "at most", "gt": "over", "lt": "under"}
    said = [
        f"{word} {getattr(rule, sign):g}"
        for rule in field.metadata
        for sign, word in signs.items()
        if hasattr(rule, sign)
    ]
    pattern = next((rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)), None)
    if pattern is not None:
        said.append(", ".join(pattern.removeprefix("(?i)").strip("^()$").split("|")))
    return ", ".join(said)
