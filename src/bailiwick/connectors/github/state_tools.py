"""Tools that close an issue and open it again."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, Field

from bailiwick.authority.model import EffectClass
from bailiwick.connectors.github.issue_tools import IssueArguments, IssueTool
from bailiwick.effects import Call, Undo, Verdict
from bailiwick.effects.tool import Recovery

if TYPE_CHECKING:
    from bailiwick.connectors.github.client import GitHubClient

UNDO_WITHIN = timedelta(days=90)
_LIMITS = "who was notified has read it: an e-mail stays where it is"

State = Literal["open", "closed"]
OfState = TypeVar("OfState", bound=IssueArguments)


class CloseArguments(IssueArguments):
    """Which issue, and why it is closed."""

    reason: Annotated[Literal["completed", "not_planned"], Field(description="Why, in GitHub's words.")] = "completed"


class ReopenArguments(IssueArguments):
    """Which issue."""


class _StateTool(IssueTool[OfState]):
    effect_class: ClassVar[EffectClass] = "write"
    recovery: ClassVar[Recovery] = "idempotent"
    to: ClassVar[State]

    async def _look(self, client: "GitHubClient", call: Call[OfState], result: Any) -> Verdict:
        del result
        seen = await self._seen(client, call.arguments)
        evidence = {"state": seen["state"], "state_reason": seen["state_reason"]}
        return Verdict("verified" if seen["state"] == self.to else "refuted", evidence)


class CloseIssue(_StateTool[CloseArguments]):
    """Closes an issue; one that is closed stays as it is."""

    name: ClassVar[str] = "github.close_issue"
    arguments: ClassVar[type[BaseModel]] = CloseArguments
    summary: ClassVar[str] = "close an issue"
    to: ClassVar[State] = "closed"

    async def _do(self, client: "GitHubClient", call: Call[CloseArguments]) -> Any:
        wanted = call.arguments
        issue = await client.set_state(wanted.repository, wanted.number, "closed", wanted.reason)
        return {"state": issue["state"], "state_reason": issue.get("state_reason")}

    def undo(self, call: Call[CloseArguments], observed: Any, result: Any) -> Undo | None:
        """Return the reopening; None where it was closed before."""
        del result
        if observed["state"] == "closed":
            return None
        arguments = ReopenArguments(repository=call.arguments.repository, number=call.arguments.number)
        return Undo(ReopenIssue.name, arguments, within=UNDO_WITHIN, limits=_LIMITS)

    def undo_of(self, arguments: CloseArguments) -> str | None:
        """Say what could be undone."""
        del arguments
        return f"the issue can be opened again within {UNDO_WITHIN.days} days; {_LIMITS}"


class ReopenIssue(_StateTool[ReopenArguments]):
    """Opens a closed issue again; an open one stays as it is."""

    name: ClassVar[str] = "github.reopen_issue"
    arguments: ClassVar[type[BaseModel]] = ReopenArguments
    summary: ClassVar[str] = "open a closed issue again"
    to: ClassVar[State] = "open"

    async def _do(self, client: "GitHubClient", call: Call[ReopenArguments]) -> Any:
        issue = await client.set_state(call.arguments.repository, call.arguments.number, "open", "reopened")
        return {"state": issue["state"], "state_reason": issue.get("state_reason")}

    def undo(self, call: Call[ReopenArguments], observed: Any, result: Any) -> Undo | None:
        """Return the closing, for the reason it had; None where it was open before."""
        del result
        if observed["state"] == "open":
            return None
        reason = "not_planned" if observed["state_reason"] == "not_planned" else "completed"
        arguments = CloseArguments(repository=call.arguments.repository, number=call.arguments.number, reason=reason)
        return Undo(CloseIssue.name, arguments, within=UNDO_WITHIN, limits=_LIMITS)

    def undo_of(self, arguments: ReopenArguments) -> str | None:
        """Say what could be undone."""
        del arguments
        return f"the issue can be closed again within {UNDO_WITHIN.days} days; {_LIMITS}"
