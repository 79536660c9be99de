"""What GitHub's answers say: pages of listings, documents, and why something was refused."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from githubkit import Response
from githubkit.exception import (
    GitHubException,
    RateLimitExceeded,
    RequestError,
    RequestFailed,
    RequestTimeout,
    SecondaryRateLimitExceeded,
)

from bailiwick.connectors.errors import (
    ConnectorNotFoundError,
    ConnectorRefusedError,
    ConnectorUnavailableError,
    RateLimitedError,
)
from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import BailiwickError, InvalidInputError
from bailiwick.outbound import OutboundRefusedError

_SECONDARY_WAIT = timedelta(seconds=60)
_REMEDIES = {
    401: "GitHub does not know this token, or it has expired; give a new one",
    403: "the token lacks a permission this needs",
    404: "the repository or issue does not exist, or the token may not see it",
    410: "issues are switched off or the issue was deleted",
    451: "GitHub blocks this repository for legal reasons",
}
_RETRYABLE_STATUSES = frozenset((408, 409, 423, 425, 429))
_SERVER_FAULT = 500
_NOT_MODIFIED = 304
_ABSENT_STATUSES = frozenset((404, 410))


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a listing.

    ``items`` is None where nothing changed since ``etag``. ``remaining`` and
    ``resets_at`` are the state of the rate limit, ``answered_at`` is GitHub's
    clock, where it told them.
    """

    items: list[dict[str, Any]] | None
    next_url: str | None
    etag: str | None
    remaining: int | None
    resets_at: datetime | None
    poll_interval_seconds: int | None
    answered_at: datetime | None


def page_of(response: Response[Any]) -> Page:
    """Return a page of a listing; its ``next_url`` is as GitHub says and may lead anywhere."""
    answer = response.headers
    resets = _whole_number(answer.get("x-ratelimit-reset"))
    return Page(
        items=None if response.status_code == _NOT_MODIFIED else items_of(response),
        next_url=response.raw_response.links.get("next", {}).get("url"),
        etag=answer.get("etag"),
        remaining=_whole_number(answer.get("x-ratelimit-remaining")),
        resets_at=None if resets is None else datetime.fromtimestamp(resets, UTC),
        poll_interval_seconds=_whole_number(answer.get("x-poll-interval")),
        answered_at=_http_date(answer.get("date")),
    )


def document_of(response: Response[Any]) -> dict[str, Any]:
    """Return the object that GitHub answered.

    Raises:
        ConnectorUnavailableError: it answered something else.
    """
    document = _decoded(response)
    if not isinstance(document, dict):
        raise ConnectorUnavailableError("GitHub's answer is not an object; is the base URL that of the REST API?")
    return document


def items_of(response: Response[Any]) -> list[dict[str, Any]]:
    """Return the objects of the list that GitHub answered.

    Raises:
        ConnectorUnavailableError: it answered something else.
    """
    items = _decoded(response)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConnectorUnavailableError("GitHub's answer is not a list; is the base URL that of the REST API?")
    return items


def refusal(error: GitHubException, now: datetime) -> BailiwickError:
    """Return what a failed call comes to: refused for good, or to be tried again, and from when."""
    if isinstance(error, RateLimitExceeded):
        wait = error.retry_after
        if isinstance(error, SecondaryRateLimitExceeded):
            wait = max(wait, _SECONDARY_WAIT) if "retry-after" not in error.response.headers else wait
        retry_at = now + wait
        return RateLimitedError(f"GitHub asks to wait until {retry_at:%Y-%m-%d %H:%M:%S} UTC", retry_at)
    if isinstance(error, RequestFailed):
        return _of_status(error.response)
    if isinstance(error, RequestTimeout):
        return ConnectorUnavailableError("GitHub did not answer in time")
    if isinstance(error, RequestError) and isinstance(error.exc, OutboundRefusedError):
        return error.exc
    if isinstance(error, RequestError):
        return ConnectorUnavailableError(f"GitHub cannot be reached ({type(error.exc).__name__})")
    return ConnectorUnavailableError(f"the call to GitHub failed ({type(error).__name__})")


def _of_status(response: Response[Any]) -> BailiwickError:
    status = response.status_code
    if status >= _SERVER_FAULT or status in _RETRYABLE_STATUSES:
        return ConnectorUnavailableError(f"GitHub answered {status}; it has a fault or is busy")
    said = _said(response)
    remedy = _REMEDIES.get(status, "GitHub does not accept this request")
    error = ConnectorNotFoundError if status in _ABSENT_STATUSES else ConnectorRefusedError
    return error(f"{remedy} (status {status}{f', {said!r}' if said else ''})")


def _said(response: Response[Any]) -> str:
    try:
        document = decode(response.content)
    except InvalidInputError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message[:200] if isinstance(message, str) else ""


def _decoded(response: Response[Any]) -> Any:
    try:
        return decode(response.content)
    except InvalidInputError as error:
        raise ConnectorUnavailableError("GitHub's answer is not JSON; is the base URL that of the REST API?") from error


def _whole_number(text: str | None) -> int | None:
    return (
        int(text)
        if text is not None and text.isascii() and text.isdecimal() and len(text) <= len("9999999999")
        else None
    )


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
