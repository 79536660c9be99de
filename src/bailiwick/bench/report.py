"""What a benchmark reports: figures under stable keys, beside the limits it promised to keep."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Any

import orjson
import psutil

from bailiwick import __version__


@dataclass(frozen=True)
class Bound:
    """A promise about figures of one run, and whether this run kept it."""

    name: str
    measured: float | None
    limit: float
    at_least: bool

    @property
    def is_kept(self) -> bool | None:
        """Tell whether it was kept; None when a rival was absent."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True)
class Report:
    """One benchmark's run. ``figures`` names carry their units; absent rivals are None."""

    benchmark: str
    figures: Mapping[str, float | None]
    bounds: Sequence[Bound] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is printed and stored."""
        return {
            "benchmark": self.benchmark,
            **self.figures,
            "bounds": [
                {
                    "name": bound.name,
                    "measured": bound.measured,
                    "limit": bound.limit,
                    "at_least": bound.at_least,
                    "kept": bound.is_kept,
                }
                for bound in self.bounds
            ],
            "machine": machine(),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "details": dict(self.details),
        }

    def store(self, folder: Path) -> Path:
        """Write the report into a folder, over the last one of its kind; return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.benchmark}.json"
        path.write_bytes(orjson.dumps(self.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
        return path


def machine() -> dict[str, Any]:
    """Return what a reader needs to compare figures: cores, memory, load, versions."""
    return {
        "cores": cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1_minute": round(psutil.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def ratio(figure: float | None, base: float | None) -> float | None:
    """Return figure / base to three digits, or None where one is absent."""
    if figure is None or not base:
        return None
    return round(figure / base, 3)
