"""How a tool reaches a repository: by the organization's own connection and its sealed token."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bailiwick.connectors.connections import ConnectionRecord, Connections
from bailiwick.connectors.errors import ConnectorRefusedError
from bailiwick.connectors.github.connection import KIND, GitHubConnection
from bailiwick.connectors.github.sync import subject_of
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.loading import loaded
from bailiwick.outbound import AllowList
from bailiwick.tasks.limits import Limits

if TYPE_CHECKING:
    from bailiwick.connectors.github.client import GitHubClient

# Its library takes long to import, and most processes act on nothing.
_CLIENT = "bailiwick.connectors.github.client"


class GitHubAccess:
    """Opens a client for a connected repository; without connection or token nothing is asked of GitHub."""

    def __init__(self, connections: Connections, limits: Limits, *, allow: AllowList | None = None) -> None:
        self._connections = connections
        self._limits = limits
        self._allow = allow

    @asynccontextmanager
    async def to(self, organization_id: str, repository: str) -> "AsyncGenerator[GitHubClient]":
        """Return a client that may write to the repository while the block runs.

        Raises:
            ConnectorRefusedError: the organization has no connection to it that may be used; the message says
                what is missing.
            SecretMissingError: the token is not where the connection says.
            CircuitOpenError: its circuit breaker is open.
        """
        connection = await self._connection(organization_id, repository)
        await self._limits.check(organization_id, subject_of(connection))
        settings = GitHubConnection.of(connection.configuration)
        token = settings.token(await self._connections.credentials.open(connection))
        if token is None:
            raise ConnectorRefusedError(
                f"the connection of {repository} has no token, so it can only read; give it one that may write "
                "issues: bailiwick connect credentials"
            )
        door: Any = await loaded(_CLIENT)
        async with door.GitHubClient(token, base_url=settings.base_url, allow=self._allow) as client:
            yield client

    async def _connection(self, organization_id: str, repository: str) -> ConnectionRecord:
        try:
            found = await self._connections.get(organization_id, repository)
        except NotFoundError as error:
            raise _unconnected(repository) from error
        if found.kind != KIND or found.target != repository:
            raise _unconnected(repository)
        if found.state != "active":
            raise ConnectorRefusedError(
                f"the connection of {repository} is {found.state}, so nothing is sent through it; when that is "
                f"mended: bailiwick connect resume {repository}"
            )
        return found


def _unconnected(repository: str) -> ConnectorRefusedError:
    return ConnectorRefusedError(
        f"{repository} is not connected to this organization, so nothing can be sent there; connect it: "
        f"bailiwick connect github {repository}"
    )
