"""What people did to an issue at GitHub with their own hands, as its log of events tells it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.connectors.github.access import GitHubAccess
from bailiwick.connectors.timestamps import parse_timestamp
from bailiwick.kernel.errors import InvalidInputError

Kind = Literal["labeled", "unlabeled", "closed", "reopened", "assigned", "unassigned"]
_KINDS: Mapping[str, Kind] = {
    "labeled": "labeled", "unlabeled": "unlabeled", "closed": "closed", "reopened": "reopened",
    "assigned": "assigned", "unassigned": "unassigned",
}  # fmt: skip
_BOT = "[bot]"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that one person did: ``what`` is the label, the person it was given to, or why it was closed."""

    id: str
    at: datetime
    kind: Kind
    what: str | None


class IssueDeeds:
    """Reads what people did, through the organization's own connection."""

    def __init__(self, access: GitHubAccess) -> None:
        self._access = access

    async def of(
        self, organization_id: str, repository: str, number: int, *, since: datetime, until: datetime
    ) -> list[Deed]:
        """Return what people did to an issue after a moment and up to another, oldest first.

        Bots and apps are no people, and what was done with the token of this
        connection is our own doing.

        Raises:
            ConnectorRefusedError: the repository is not connected, or the token may not see the issue.
            ConnectorUnavailableError, RateLimitedError: ask again.
        """
        async with self._access.to(organization_id, repository) as client:
            documents = await client.issue_events(repository, number)
            own = await client.login() if documents else None
        return [deed for deed in deeds_of(documents, own=own) if since < deed.at <= until]


def deeds_of(documents: Sequence[Mapping[str, Any]], *, own: str | None) -> list[Deed]:
    """Return the deeds of people among events as GitHub writes them; ``own`` is the account that our token is of."""
    found = (_deed(document, own) for document in documents)
    return sorted((deed for deed in found if deed is not None), key=lambda deed: deed.at)


def _deed(document: Mapping[str, Any], own: str | None) -> Deed | None:
    kind = _KINDS.get(str(document.get("event")))
    if kind is None or not _is_by_hand(document, own):
        return None
    try:
        at = parse_timestamp(str(document.get("created_at")), what="created_at")
    except InvalidInputError:
        return None
    return Deed(str(document.get("id")), at, kind, _what(kind, document))


def _is_by_hand(document: Mapping[str, Any], own: str | None) -> bool:
    """Tell whether a person did it; what does not say who did it is nobody's."""
    actor = document.get("actor")
    if not isinstance(actor, Mapping) or actor.get("type") != "User" or not isinstance(actor.get("login"), str):
        return False
    login = str(actor["login"]).casefold()
    is_program = login.endswith(_BOT) or document.get("performed_via_github_app") is not None
    # Closed by a commit that was pushed: GitHub's doing, not a decision about the issue.
    is_by_commit = document.get("commit_id") is not None
    return not is_program and not is_by_commit and (own is None or login != own.casefold())


def _what(kind: Kind, document: Mapping[str, Any]) -> str | None:
    if kind == "closed":
        reason = document.get("state_reason")
        return reason if isinstance(reason, str) else None
    named = document.get("label" if kind in ("labeled", "unlabeled") else "assignee")
    name = named.get("name" if kind in ("labeled", "unlabeled") else "login") if isinstance(named, Mapping) else None
    return name if isinstance(name, str) else None
