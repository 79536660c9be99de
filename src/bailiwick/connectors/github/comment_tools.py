"""Tools that write a comment and take it away again."""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from bailiwick.authority.model import EffectClass
from bailiwick.connectors.errors import ConnectorNotFoundError
from bailiwick.connectors.github.issue_tools import IssueArguments, IssueTool
from bailiwick.effects import Call, Undo, Verdict
from bailiwick.effects.tool import Recovery

if TYPE_CHECKING:
    from bailiwick.connectors.github.client import GitHubClient

MAX_BODY_CHARACTERS = 65_000
# GitHub's clock and ours differ.
_EARLIER = timedelta(hours=1)
_LIMITS = "who was notified has read it: an e-mail stays where it is"


class CommentArguments(IssueArguments):
    """What is said, as Markdown."""

    body: Annotated[
        str, Field(min_length=1, max_length=MAX_BODY_CHARACTERS, pattern=r"\S", description="The text, as Markdown.")
    ]


class DeleteCommentArguments(IssueArguments):
    """Which comment of the issue."""

    comment_id: Annotated[int, Field(ge=1, le=2**53, description="The comment's id at GitHub.")]


class Comment(IssueTool[CommentArguments]):
    """Writes a comment. It carries a hidden marker made from the effect's key, by which it is found again."""

    name: ClassVar[str] = "github.comment"
    effect_class: ClassVar[EffectClass] = "external"
    arguments: ClassVar[type[BaseModel]] = CommentArguments
    recovery: ClassVar[Recovery] = "findable"
    summary: ClassVar[str] = "write a comment on an issue"

    async def _do(self, client: "GitHubClient", call: Call[CommentArguments]) -> Any:
        wanted = call.arguments
        comment_id = await client.comment(
            wanted.repository, wanted.number, wanted.body, _marker(call.key), since=_since(call.since)
        )
        return {"comment_id": comment_id}

    async def find(self, call: Call[CommentArguments]) -> Any | None:
        """Look for the comment with this call's marker.

        GitHub ends a request after ten seconds, a client here waits for thirty:
        what is not there now does not come later.
        """
        wanted = call.arguments
        async with self._access.to(call.organization_id, wanted.repository) as client:
            found = await client.find_comment(
                wanted.repository, wanted.number, _marker(call.key), since=_since(call.since)
            )
        return None if found is None else {"comment_id": int(found["id"])}

    async def _look(self, client: "GitHubClient", call: Call[CommentArguments], result: Any) -> Verdict:
        wanted, comment_id = call.arguments, int(result["comment_id"])
        try:
            found = await client.get_comment(wanted.repository, comment_id)
        except ConnectorNotFoundError:
            await client.get_issue(wanted.repository, wanted.number)
            return Verdict("refuted", {"comment_id": comment_id, "problem": "the comment is gone"})
        evidence = {"comment_id": comment_id, "url": found.get("html_url"), "updated_at": found.get("updated_at")}
        written = _plain(found.get("body") or "").rpartition("\n")[0]
        if _plain(written) == _plain(wanted.body):
            return Verdict("verified", evidence)
        return Verdict("refuted", {**evidence, "problem": "the comment's text was changed"})

    def undo(self, call: Call[CommentArguments], observed: Any, result: Any) -> Undo | None:
        """Return the deletion of the comment."""
        del observed
        wanted = call.arguments
        arguments = DeleteCommentArguments(
            repository=wanted.repository, number=wanted.number, comment_id=int(result["comment_id"])
        )
        return Undo(DeleteComment.name, arguments, limits=_LIMITS)

    def undo_of(self, arguments: CommentArguments) -> str | None:
        """Say what could be undone."""
        del arguments
        return f"the comment can be deleted at any time; {_LIMITS}"


class DeleteComment(IssueTool[DeleteCommentArguments]):
    """Deletes a comment for good, whoever wrote it. Deleting it again changes nothing."""

    name: ClassVar[str] = "github.delete_comment"
    effect_class: ClassVar[EffectClass] = "destructive"
    arguments: ClassVar[type[BaseModel]] = DeleteCommentArguments
    recovery: ClassVar[Recovery] = "idempotent"
    summary: ClassVar[str] = "delete a comment of an issue for good"

    def target(self, arguments: DeleteCommentArguments) -> str:
        """Return the comment, as ``comment:owner/name#number/id``."""
        return f"comment:{arguments.repository}#{arguments.number}/{arguments.comment_id}"

    async def _seen(self, client: "GitHubClient", arguments: DeleteCommentArguments) -> dict[str, Any]:
        await client.get_issue(arguments.repository, arguments.number)
        try:
            found = await client.get_comment(arguments.repository, arguments.comment_id)
        except ConnectorNotFoundError:
            return {"is_there": False}
        text = hashlib.sha256(str(found.get("body")).encode()).hexdigest()
        author = (found.get("user") or {}).get("login")
        return {"is_there": True, "author": author, "text_sha256": text}

    async def _do(self, client: "GitHubClient", call: Call[DeleteCommentArguments]) -> Any:
        wanted = call.arguments
        try:
            await client.delete_comment(wanted.repository, wanted.comment_id)
        except ConnectorNotFoundError:
            # Gone already, unless the token does not even see the issue.
            await client.get_issue(wanted.repository, wanted.number)
        return {"comment_id": wanted.comment_id}

    async def _look(self, client: "GitHubClient", call: Call[DeleteCommentArguments], result: Any) -> Verdict:
        del result
        seen = await self._seen(client, call.arguments)
        return Verdict("refuted" if seen["is_there"] else "verified", {"is_there": seen["is_there"]})


def _marker(key: str) -> str:
    # The key itself is nobody's business outside.
    return f"effect-{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def _since(moment: datetime) -> datetime:
    return moment - _EARLIER


def _plain(text: str) -> str:
    return "\n".join(text.rstrip().splitlines())
