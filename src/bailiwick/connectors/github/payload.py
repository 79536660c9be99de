"""GitHub's issue objects, as REST, GraphQL and published data sets write them, made into `IssueRecord`."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from bailiwick.connectors.fitting import MAX_ATTRIBUTES, attribute_text, describe, fit
from bailiwick.connectors.issues import IssueComment, IssueRecord
from bailiwick.connectors.timestamps import parse_timestamp
from bailiwick.kernel.errors import InvalidPayloadError

Document = Mapping[str, Any]
_NAME_KEYS = ("login", "username", "name")
_STATES: Mapping[str, Literal["open", "closed"]] = {"open": "open", "closed": "closed", "merged": "closed"}
# https://github.com/owner/name/issues/1, and https://api.github.com/repos/owner/name/issues/1
_LINK = re.compile(r"https?://[^/]+/(?:.*/)?([^/]+/[^/]+)/(?:issues|pull)/")
_LONGEST_NUMBER = len(str(2**63))
# Columns that have a field of their own, repeat another one, or only address GitHub's API.
_KNOWN = frozenset(
    (
        "owner", "repo", "repository", "number", "id", "databaseId", "node_id", "url", "title", "body", "state",
        "state_reason", "stateReason", "created_at", "createdAt", "updated_at", "updatedAt", "closed_at", "closedAt",
        "user", "author", "assignee", "assignees", "labels", "comments", "comments_count", "comments_text",
        "pull_request", "body_html", "body_text", "__typename", "bodyText", "bodyHTML",
    )
)  # fmt: skip


def issue_from_document(document: Document, *, repository: str | None = None, check_size: bool = True) -> IssueRecord:
    """Return the issue that ``document`` describes.

    ``repository`` ("owner/name") is used where the document does not name one.
    Scalar columns without a field of their own go to ``attributes``. With
    ``check_size`` off the caller knows that the record is small and holds no U+0000.

    Raises:
        InvalidPayloadError: a required field is missing or unusable.
        PayloadTooLargeError: its text exceeds the limit of an event.
    """
    try:
        record = IssueRecord.model_validate(_fields(document, repository))
    except ValidationError as error:
        raise InvalidPayloadError(describe(error)) from error
    return fit(record) if check_size else record


def _fields(document: Document, repository: str | None) -> dict[str, Any]:
    comments = _comments(document.get("comments"))
    created_at = _time(document, "created_at", "createdAt")
    if created_at is None:
        raise InvalidPayloadError("created_at is missing")
    closed_at = _time(document, "closed_at", "closedAt")
    state = _state(document, closed_at)
    if closed_at is not None and closed_at < created_at:
        raise InvalidPayloadError(f"closed_at {closed_at} lies before created_at {created_at}")
    link = _link(document)
    identity = _first(document, "id", "databaseId", "node_id")
    return {
        "source": "github",
        "repository": _repository(document, link) or repository or _missing_repository(),
        "number": _number(document),
        "external_id": None if identity is None else str(identity),
        "url": link,
        "title": _title(document),
        "body": _text(document.get("body"), "body"),
        "labels": _names(document.get("labels"), "labels"),
        "state": state,
        "state_reason": _first(document, "state_reason", "stateReason"),
        "author": _person(_first(document, "user", "author")),
        "assignees": _names(_first(document, "assignees", "assignee"), "assignees"),
        "comments_count": _comments_count(document, len(comments)),
        "comments": comments,
        "created_at": created_at,
        "updated_at": _time(document, "updated_at", "updatedAt"),
        "closed_at": closed_at if state == "closed" else None,
        "is_pull_request": _is_pull_request(document, link),
        "attributes": _attributes(document),
    }


def _first(document: Document, *keys: str) -> Any:
    for key in keys:
        value = document.get(key)
        if value is not None:
            return value
    return None


def _missing_repository() -> str:
    raise InvalidPayloadError("the repository is missing; name it when importing (owner/name)")


def _number(document: Document) -> int:
    value = document.get("number")
    if isinstance(value, str) and value.strip().lstrip("#").isdecimal() and len(value) <= _LONGEST_NUMBER:
        value = int(value.strip().lstrip("#"))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidPayloadError("number is missing" if value is None else f"number is not a number: {value!r:.60}")
    if not 0 <= value < 2**63:
        raise InvalidPayloadError(f"number is out of range: {value!r:.60}")
    return value


def _title(document: Document) -> str:
    title = document.get("title")
    if not isinstance(title, str):
        raise InvalidPayloadError("title is missing" if title is None else "title is not a text")
    if not title.strip():
        raise InvalidPayloadError("title is empty")
    return title.strip()


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidPayloadError(f"{what} is not a text")
    return value


def _state(document: Document, closed_at: datetime | None) -> Literal["open", "closed"]:
    value = document.get("state")
    if value is None:
        return "open" if closed_at is None else "closed"
    state = _STATES.get(value.lower()) if isinstance(value, str) else None
    if state is None:
        raise InvalidPayloadError(f"state is neither open nor closed: {value!r:.60}")
    return state


def _time(document: Document, *keys: str) -> datetime | None:
    value = _first(document, *keys)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidPayloadError(f"{keys[0]} is not an ISO 8601 time: {value!r:.60}")
    return parse_timestamp(value, what=keys[0])


def _link(document: Document) -> str | None:
    value = _first(document, "html_url", "url")
    return value if isinstance(value, str) and value else None


def _repository(document: Document, link: str | None) -> str | None:
    repository = _first(document, "repository", "repository_url")
    owner, name = document.get("owner"), document.get("repo")
    if isinstance(repository, Mapping):
        full_name = _first(repository, "full_name", "nameWithOwner")
        return full_name if isinstance(full_name, str) else None
    if isinstance(repository, str) and repository.count("/"):
        return "/".join(repository.rstrip("/").rsplit("/", 2)[-2:])
    if isinstance(name, str) and name:
        owner = _person(owner)
        return f"{owner}/{name}" if owner and "/" not in name else name
    match = _LINK.match(link) if link is not None else None
    return None if match is None else match.group(1)


def _is_pull_request(document: Document, link: str | None) -> bool:
    kind = document.get("__typename")
    return bool(document.get("pull_request")) or kind == "PullRequest" or (link is not None and "/pull/" in link)


def _person(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = _first(value, *_NAME_KEYS)
    return value if isinstance(value, str) and value else None


def _members(value: Any, what: str) -> Iterable[Any]:
    """Return the members of a REST list, a GraphQL connection, one object, or a comma-separated text."""
    if value is None:
        return ()
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        if isinstance(nodes := value.get("nodes"), list):
            return nodes
        if isinstance(edges := value.get("edges"), list):
            return [edge.get("node") for edge in edges if isinstance(edge, Mapping)]
        return (value,) if "totalCount" not in value else ()
    raise InvalidPayloadError(f"{what} is not a list")


def _names(value: Any, what: str) -> tuple[str, ...]:
    names = (_person(member) for member in _members(value, what))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _comments(value: Any) -> tuple[IssueComment, ...]:
    if value is None or isinstance(value, (int, float, str)):
        return ()
    return tuple(
        IssueComment(
            author=_person(_first(member, "user", "author")),
            body=_text(member.get("body"), "the body of a comment"),
            created_at=_time(member, "created_at", "createdAt"),
        )
        for member in _members(value, "comments")
        if isinstance(member, Mapping)
    )


def _comments_count(document: Document, given: int) -> int:
    value = document.get("comments_count")
    comments = document.get("comments")
    if value is None:
        value = comments.get("totalCount") if isinstance(comments, Mapping) else comments
    if isinstance(value, str) and value.isdecimal() and len(value) < _LONGEST_NUMBER:
        value = int(value)
    count = value if isinstance(value, int) and not isinstance(value, bool) else 0
    return max(count, given)


def _attributes(document: Document) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for key, value in document.items():
        if key in _KNOWN or key.endswith("_url"):
            continue
        text = _attribute(key, value)
        if text is not None and len(attributes) < MAX_ATTRIBUTES:
            attributes[key[:255]] = text
    return attributes


def _attribute(key: str, value: Any) -> str | None:
    if isinstance(value, str):
        return attribute_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping) and key in ("milestone", "type", "closed_by"):
        name = _first(value, "title", *_NAME_KEYS)
        return attribute_text(name) if isinstance(name, str) else None
    return None
