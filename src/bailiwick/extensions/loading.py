"""Find and load extensions. A broken one is logged, shown and skipped, never fatal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Literal

import structlog

from bailiwick.extensions.registrar import Extension, Registrar

log = structlog.get_logger(__name__)

GROUP = "bailiwick.extensions"


@dataclass(frozen=True, slots=True)
class ExtensionStatus:
    """What became of one extension, and why."""

    name: str
    version: str
    state: Literal["loaded", "failed"]
    error: str | None = None


def find_extensions() -> tuple[list[Extension], list[ExtensionStatus]]:
    """Return the installed extensions by name, and those that could not be imported."""
    found: list[Extension] = []
    failed: list[ExtensionStatus] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            extension = entry.load()
        except Exception as error:  # noqa: BLE001 - an extension is foreign code; any fault must stay its own
            failed.append(_failure(entry.name, "?", error))
            continue
        if isinstance(extension, Extension):
            found.append(extension)
        else:
            reason = f"{entry.value} is no extension: it needs name, version, migrations and register()"
            failed.append(_failure(entry.name, "?", TypeError(reason)))
    return found, failed


def register_extensions(extensions: Iterable[Extension], registrar: Registrar) -> Sequence[ExtensionStatus]:
    """Let each extension register; return what became of each."""
    return [_register(extension, registrar) for extension in extensions]


def _register(extension: Extension, registrar: Registrar) -> ExtensionStatus:
    try:
        extension.register(registrar)
    except Exception as error:  # noqa: BLE001 - as above
        return _failure(extension.name, extension.version, error)
    return ExtensionStatus(extension.name, extension.version, "loaded")


def _failure(name: str, version: str, error: Exception) -> ExtensionStatus:
    log.error("extension skipped", extension=name, error=f"{type(error).__name__}: {error}")
    return ExtensionStatus(name, version, "failed", f"{type(error).__name__}: {error}")
