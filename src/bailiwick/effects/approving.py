"""How people are asked about an effect."""

from typing import Protocol

from bailiwick.authority import Decision, Proposal
from bailiwick.kernel.errors import ForbiddenError
from bailiwick.storage.connections import Connection


class Asking(Protocol):
    """Who asks people."""

    async def request(
        self,
        proposal: Proposal,
        decision: Decision,
        *,
        effect_id: str,
        digest: str,
        undo: str | None,
        connection: Connection,
    ) -> str:
        """Ask, and return the approval's id."""
        ...


class NobodyToAsk:
    """Until approvals are wired: what needs one is refused."""

    async def request(
        self,
        proposal: Proposal,
        decision: Decision,
        *,
        effect_id: str,
        digest: str,
        undo: str | None,
        connection: Connection,
    ) -> str:
        """Refuse.

        Raises:
            ForbiddenError: always.
        """
        del decision, effect_id, digest, undo, connection
        raise ForbiddenError(f"{proposal.tool} needs an approval, and nobody here can be asked for one")
