"""What the connectors register, as an extension like any other: types of event from outside, tools that act there."""

from pathlib import Path

from bailiwick import __version__
from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.connectors.github.tools import github_tools
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
        """Register the event types of issues and meters, and the tools for issues."""
        kernel = registrar.kernel
        for tool in github_tools(GitHubAccess(kernel.connections, kernel.limits, allow=kernel.outbound)):
            registrar.tool(tool)
        for name in ("issue.opened", "issue.closed", "issue.reopened", "issue.changed", "issue.imported"):
            registrar.event_type(EventType(name, 1, IssueRecord, key=lambda issue: issue.key, outside=ISSUES))
        registrar.event_type(EventType("meter.read", 1, MeterReading, key=lambda reading: reading.key, outside=METERS))


extension = ConnectorsExtension()
