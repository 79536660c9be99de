"""The document that a rival's process prints, and back from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Self

import orjson

from bailiwick.kernel.documents import JsonObject, decode


@dataclass(frozen=True)
class Measurement:
    """Rounds of one workload in the mode that was fastest when all modes were tried.

    ``rounds_per_second`` are the counted rounds, ``tried_per_second`` the one
    trial round of each mode, which also warms it up.
    """

    workload: str
    mode: str
    rounds_per_second: tuple[float, ...]
    tried_per_second: Mapping[str, float]

    @property
    def median_per_second(self) -> float:
        """The figure to quote."""
        return median(self.rounds_per_second)

    @classmethod
    def of(cls, document: JsonObject) -> Self:
        """Read what :meth:`RivalResult.to_json` wrote."""
        return cls(
            workload=document["workload"],
            mode=document["mode"],
            rounds_per_second=tuple(document["rounds_per_second"]),
            tried_per_second=document["tried_per_second"],
        )


@dataclass(frozen=True)
class RivalResult:
    """One rival's figures; ``figures`` names carry their units (``one_step_per_second``, ``serial_p50_ms``).

    ``server`` holds the PostgreSQL settings that decide what a commit costs,
    so that a reader can see that all rivals had the same.
    """

    rival: str
    available: bool
    reason: str | None = None
    version: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    measurements: tuple[Measurement, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    server: Mapping[str, str] = field(default_factory=dict[str, str])
    wall_seconds: float = 0.0

    def figure(self, name: str) -> float | None:
        """Return a figure, or None when the rival is absent or does not measure it."""
        return self.figures.get(name)

    def to_json(self) -> bytes:
        """Return one JSON document in one line."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            InvalidPayloadError: it is not JSON.
            KeyError: it is another document.
        """
        document: JsonObject = decode(text)
        measurements = tuple(Measurement.of(item) for item in document.pop("measurements"))
        return cls(measurements=measurements, **document)
