"""The one door to GitHub's REST API."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from githubkit import GitHub, Response
from githubkit.exception import (
    GitHubException,
    RateLimitExceeded,
    RequestError,
    RequestFailed,
    RequestTimeout,
    SecondaryRateLimitExceeded,
)

from bailiwick import __version__
from bailiwick.connectors.errors import (
    ConnectorNotFoundError,
    ConnectorRefusedError,
    ConnectorUnavailableError,
    RateLimitedError,
)
from bailiwick.connectors.github.manifest import MANIFEST
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import BailiwickError, InvalidInputError
from bailiwick.outbound import AllowList, OutboundRefusedError, guarded_transport
from bailiwick.outbound.transport import Bounds

PAGE_SIZE = 100
MAX_COMMENT_CHARACTERS = 65_536
_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
# Long enough that nobody can write it into the issue before us.
_MARKER = re.compile(r"[A-Za-z0-9._:-]{16,100}")
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

StateReason = Literal["completed", "not_planned", "reopened"]


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


class GitHubClient:
    """Reads issues, and carries out effects on them when something with the authority asks.

    Nothing here decides to comment or label. The token is neither logged nor
    shown. Every failure is a ConnectorRefusedError (permanent), a
    ConnectorUnavailableError or a RateLimitedError (both to be retried); the
    client itself never waits and never retries. ``async with`` keeps one
    connection pool.
    """

    def __init__(
        self,
        token: str | None,
        *,
        base_url: str | None = None,
        timeout_seconds: float = 30.0,
        allow: AllowList | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a client; ``base_url`` is that of a GitHub Enterprise server (``https://HOST/api/v3``).

        One that is not on the public internet must be in ``allow``.
        """
        if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
            raise InvalidInputError("the GitHub token holds a character that no token has; copy it again")
        self.base_url = base_url or MANIFEST.base_url
        self._clock = clock or SystemClock()
        self._github = GitHub(
            token,
            base_url=self.base_url,
            user_agent=f"bailiwick/{__version__}",
            timeout=timeout_seconds,
            http_cache=False,
            # The base URL and every redirect are somebody's choice: only what may be reached is.
            async_transport=guarded_transport(
                allow=allow, bounds=Bounds(total_seconds=4 * timeout_seconds, silence_seconds=timeout_seconds)
            ),
            trust_env=False,
            follow_redirects=False,
            auto_retry=False,
        )

    def __repr__(self) -> str:
        """Return a form without the token."""
        return f"GitHubClient(base_url={self.base_url!r})"

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._github.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection pool."""
        await self._github.__aexit__(kind, error, traceback)

    async def list_issues(
        self, repository: str, *, since: datetime | None = None, state: str = "all", etag: str | None = None
    ) -> Page:
        """Return the first page of issues and pull requests, least recently updated first.

        ``since`` is inclusive. With the ``etag`` of the same call's last answer
        an unchanged listing costs nothing of the rate limit.
        """
        parameters = {"state": state, "sort": "updated", "direction": "asc", "per_page": str(PAGE_SIZE)}
        if since is not None:
            parameters["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {} if etag is None else {"If-None-Match": etag}
        return await self._page(f"/repos/{_checked(repository)}/issues", parameters=parameters, headers=headers)

    async def next_page(self, page: Page) -> Page | None:
        """Return the page after ``page``, or None when it was the last."""
        return None if page.next_url is None else await self._page(page.next_url)

    async def comment(
        self, repository: str, number: int, body: str, idempotency_marker: str, *, since: datetime | None = None
    ) -> int:
        """Write a comment once and return its id, however often this is called with the same marker.

        The marker stands in the comment where readers do not see it. It must
        not be guessable (a UUID is right), because whoever writes it first
        stops the comment. ``since``, a time before the first call, saves
        reading older comments. Two calls at the very same time may both write;
        the caller's task fence prevents that.
        """
        text = _marked(body, idempotency_marker)
        found = await self.find_comment(repository, number, idempotency_marker, since=since)
        if found is not None:
            return int(found["id"])
        response = await self._send("POST", _issue(repository, number) + "/comments", document={"body": text})
        return int(_document(response)["id"])

    async def find_comment(
        self, repository: str, number: int, idempotency_marker: str, *, since: datetime | None = None
    ) -> dict[str, Any] | None:
        """Return the comment of an issue that carries a marker, as `comment` writes it, or None."""
        hidden = hidden_marker(idempotency_marker)
        async for comment in self._all(_issue(repository, number) + "/comments", since):
            if hidden in (comment.get("body") or ""):
                return comment
        return None

    async def get_comment(self, repository: str, comment_id: int) -> dict[str, Any]:
        """Return a comment.

        Raises:
            ConnectorNotFoundError: it is gone, or the token may not see it.
        """
        return _document(await self._send("GET", _comment(repository, comment_id)))

    async def delete_comment(self, repository: str, comment_id: int) -> None:
        """Delete a comment for good.

        Raises:
            ConnectorNotFoundError: it is gone already, or the token may not see it.
        """
        await self._send("DELETE", _comment(repository, comment_id))

    async def get_issue(self, repository: str, number: int) -> dict[str, Any]:
        """Return an issue with its state, labels and number of comments.

        Raises:
            ConnectorNotFoundError: there is none, or the token may not see it.
        """
        return _document(await self._send("GET", _issue(repository, number)))

    async def issue_events(self, repository: str, number: int) -> list[dict[str, Any]]:
        """Return what was done to an issue, oldest first, as GitHub's log of events tells it: by whom, when, what.

        Raises:
            ConnectorNotFoundError: there is no such issue, or the token may not see it.
        """
        return [event async for event in self._all(_issue(repository, number) + "/events", None)]

    async def login(self) -> str | None:
        """Return whose token this is; None where it is an app's, which is no account."""
        try:
            return str(_document(await self._send("GET", "/user"))["login"])
        except ConnectorRefusedError:
            return None

    async def set_state(
        self, repository: str, number: int, state: Literal["open", "closed"], reason: StateReason
    ) -> dict[str, Any]:
        """Close or open an issue and return it; one that is in that state already keeps it."""
        document = {"state": state, "state_reason": reason}
        return _document(await self._send("PATCH", _issue(repository, number), document=document))

    async def add_labels(self, repository: str, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels that are not there yet and return all labels of the issue; repeating it changes nothing."""
        if not labels or not all(label.strip() for label in labels):
            raise InvalidInputError("give at least one label, and no empty one")
        path = _issue(repository, number) + "/labels"
        response = await self._send("POST", path, document={"labels": list(labels)})
        return tuple(str(label["name"]) for label in _items(response))

    async def remove_label(self, repository: str, number: int, label: str) -> None:
        """Take a label off an issue; it stays in the repository.

        Raises:
            ConnectorNotFoundError: the issue does not have it, or the token may not see the issue.
        """
        await self._send("DELETE", f"{_issue(repository, number)}/labels/{quote(label, safe='')}")

    async def _all(self, path: str, since: datetime | None) -> AsyncIterator[dict[str, Any]]:
        parameters = {"per_page": str(PAGE_SIZE)}
        if since is not None:
            parameters["since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        page: Page | None = await self._page(path, parameters=parameters)
        while page is not None:
            for item in page.items or ():
                yield item
            page = await self.next_page(page)

    async def _page(
        self, url: str, *, parameters: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Page:
        response = await self._send("GET", url, parameters=parameters, headers=headers)
        answer = response.headers
        links = response.raw_response.links
        resets = _whole_number(answer.get("x-ratelimit-reset"))
        return Page(
            items=None if response.status_code == _NOT_MODIFIED else _items(response),
            next_url=self._own_url(links.get("next", {}).get("url")),
            etag=answer.get("etag"),
            remaining=_whole_number(answer.get("x-ratelimit-remaining")),
            resets_at=None if resets is None else datetime.fromtimestamp(resets, UTC),
            poll_interval_seconds=_whole_number(answer.get("x-poll-interval")),
            answered_at=_http_date(answer.get("date")),
        )

    def _own_url(self, url: str | None) -> str | None:
        # A link to another host would carry the token there.
        own = self._github.config.base_url
        if url is None or url.startswith(f"{own.scheme}://{own.netloc.decode()}/"):
            return url
        raise ConnectorRefusedError("GitHub's answer links to another host; the next page is not read")

    async def _send(
        self,
        method: str,
        url: str,
        *,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Response[Any]:
        try:
            return await self._github.arequest(
                method, url, params=parameters and dict(parameters), headers=headers and dict(headers), json=document
            )
        except GitHubException as error:
            raise self._translated(error) from error
        except ValueError as error:
            raise ConnectorUnavailableError(f"GitHub's answer cannot be read: {type(error).__name__}") from error

    def _translated(self, error: GitHubException) -> BailiwickError:
        if isinstance(error, RateLimitExceeded):
            wait = error.retry_after
            if isinstance(error, SecondaryRateLimitExceeded):
                wait = max(wait, _SECONDARY_WAIT) if "retry-after" not in error.response.headers else wait
            retry_at = self._clock.now() + wait
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


def _document(response: Response[Any]) -> dict[str, Any]:
    document = _decoded(response)
    if not isinstance(document, dict):
        raise ConnectorUnavailableError("GitHub's answer is not an object; is the base URL that of the REST API?")
    return document


def _items(response: Response[Any]) -> list[dict[str, Any]]:
    items = _decoded(response)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ConnectorUnavailableError("GitHub's answer is not a list; is the base URL that of the REST API?")
    return items


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


def hidden_marker(idempotency_marker: str) -> str:
    """Return how a marker stands in a comment, where readers do not see it.

    Raises:
        InvalidInputError: it is no marker.
    """
    if not _MARKER.fullmatch(idempotency_marker):
        raise InvalidInputError("the marker of a comment needs 16 to 100 letters, digits or the signs . _ : -")
    return f"<!-- bailiwick:{idempotency_marker} -->"


def _marked(body: str, idempotency_marker: str) -> str:
    text = f"{body.rstrip()}\n\n{hidden_marker(idempotency_marker)}"
    if not body.strip() or len(text) > MAX_COMMENT_CHARACTERS:
        raise InvalidInputError(f"a comment needs 1 to {MAX_COMMENT_CHARACTERS - 150:,} characters")
    return text


def _issue(repository: str, number: int) -> str:
    return f"/repos/{_checked(repository)}/issues/{int(number)}"


def _comment(repository: str, comment_id: int) -> str:
    return f"/repos/{_checked(repository)}/issues/comments/{int(comment_id)}"


def _checked(repository: str) -> str:
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidInputError(f"{repository[:150]!r} is no repository; write it as owner/name")
    return repository
