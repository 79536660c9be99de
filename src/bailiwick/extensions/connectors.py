"""What the connectors register, as an extension like any other: the types of event that come in from outside."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.connectors.issues import ISSUES, IssueRecord
from bailiwick.connectors.meters import METERS, MeterReading
from bailiwick.events import EventType
from bailiwick.extensions.registrar import Registrar


class ConnectorsExtension:
    """Issues and meter readings, whichever system they come from."""

    name = "connectors"
    version = __version__
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        """Register the event types of issues and meters."""
        for name in ("issue.opened", "issue.closed", "issue.reopened", "issue.changed", "issue.imported"):
            registrar.event_type(EventType(name, 1, IssueRecord, key=lambda issue: issue.key, outside=ISSUES))
        registrar.event_type(
            EventType("meter.read", 1, MeterReading, key=lambda reading: reading.key, outside=METERS)
        )


extension = ConnectorsExtension()
