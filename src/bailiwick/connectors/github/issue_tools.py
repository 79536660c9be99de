"""What the tools for issues share: the issue they are about, how it is seen, and what is said when it cannot be."""

import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bailiwick.connectors.errors import ConnectorRefusedError
from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.effects import Call, Observation, Tool, Verdict
from bailiwick.kernel.documents import encode

if TYPE_CHECKING:
    from bailiwick.connectors.github.client import GitHubClient

_OWNER_AND_NAME = r"^[A-Za-z0-9-]+/[A-Za-z0-9_.-]+$"
# Spelled out and short, a repository's name is no way for somebody's words to the outside; a longer one might be.
Repository = Annotated[
    Annotated[str, Field(max_length=64, pattern=_OWNER_AND_NAME)]
    | Annotated[str, Field(max_length=140, pattern=_OWNER_AND_NAME)],
    Field(description="As `owner/name`."),
]
Number = Annotated[int, Field(ge=1, le=2**31 - 1, description="The issue's number in its repository.")]


class IssueArguments(BaseModel):
    """Which issue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Repository
    number: Number


OfIssue = TypeVar("OfIssue", bound=IssueArguments)


class IssueTool(Tool[OfIssue]):
    """One thing that can be done to an issue of a connected repository."""

    version: ClassVar[str] = "1"

    def __init__(self, access: GitHubAccess) -> None:
        self._access = access

    def target(self, arguments: OfIssue) -> str:
        """Return the issue, as ``issue:owner/name#number``."""
        return f"issue:{arguments.repository}#{arguments.number}"

    async def observe(self, call: Call[OfIssue]) -> Observation:
        """Return what a decision about this call depends on."""
        async with self._access.to(call.organization_id, call.arguments.repository) as client:
            return Observation(await self._seen(client, call.arguments))

    async def apply(self, call: Call[OfIssue]) -> Any:
        """Do it, and return what GitHub made of it."""
        async with self._access.to(call.organization_id, call.arguments.repository) as client:
            return await self._do(client, call)

    async def verify(self, call: Call[OfIssue], result: Any) -> Verdict:
        """Look at GitHub again; what may not be seen any more is unverifiable."""
        try:
            async with self._access.to(call.organization_id, call.arguments.repository) as client:
                return await self._look(client, call, result)
        except ConnectorRefusedError as error:
            return Verdict("unverifiable", {"problem": str(error)})

    async def _seen(self, client: "GitHubClient", arguments: OfIssue) -> dict[str, Any]:
        return state_of(await client.get_issue(arguments.repository, arguments.number))

    @abstractmethod
    async def _do(self, client: "GitHubClient", call: Call[OfIssue]) -> Any: ...

    @abstractmethod
    async def _look(self, client: "GitHubClient", call: Call[OfIssue], result: Any) -> Verdict: ...


def state_of(issue: dict[str, Any]) -> dict[str, Any]:
    """Return what was said and decided in an issue: its state, its text as a hash, how often it was answered.

    Labels are left out: one that an agent gives would make every open
    decision about the same issue stale.
    """
    text = encode([issue.get("title"), issue.get("body")])
    return {
        "state": issue["state"],
        # Why it is open says only that it was closed before.
        "state_reason": issue.get("state_reason") if issue["state"] == "closed" else None,
        "is_locked": bool(issue.get("locked")),
        "comments": issue.get("comments", 0),
        "text_sha256": hashlib.sha256(text).hexdigest(),
    }
