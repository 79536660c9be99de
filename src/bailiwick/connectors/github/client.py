"""The one door to GitHub's REST API."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from githubkit import GitHub, Response
from githubkit.exception import (
    GitHubException,
)

from bailiwick import __version__
from bailiwick.connectors.errors import (
    ConnectorRefusedError,
    ConnectorUnavailableError,
)
from bailiwick.connectors.github.answers import Page, document_of, items_of, page_of, refusal
from bailiwick.connectors.github.manifest import MANIFEST
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.outbound import AllowList, guarded_transport
from bailiwick.outbound.transport import Bounds

PAGE_SIZE = 100
MAX_COMMENT_CHARACTERS = 65_536
_REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
# Long enough that nobody can write it into the issue before us.
_MARKER = re.compile(r"[A-Za-z0-9._:-]{16,100}")

StateReason = Literal["completed", "not_planned", "reopened"]


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
        return int(document_of(response)["id"])

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
        return document_of(await self._send("GET", _comment(repository, comment_id)))

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
        return document_of(await self._send("GET", _issue(repository, number)))

    async def issue_events(self, repository: str, number: int) -> list[dict[str, Any]]:
        """Return what was done to an issue, oldest first, as GitHub's log of events tells it: by whom, when, what.

        Raises:
            ConnectorNotFoundError: there is no such issue, or the token may not see it.
        """
        return [event async for event in self._all(_issue(repository, number) + "/events", None)]

    async def login(self) -> str | None:
        """Return whose token this is; None where it is an app's, which is no account."""
        try:
            return str(document_of(await self._send("GET", "/user"))["login"])
        except ConnectorRefusedError:
            return None

    async def set_state(
        self, repository: str, number: int, state: Literal["open", "closed"], reason: StateReason
    ) -> dict[str, Any]:
        """Close or open an issue and return it; one that is in that state already keeps it."""
        document = {"state": state, "state_reason": reason}
        return document_of(await self._send("PATCH", _issue(repository, number), document=document))

    async def add_labels(self, repository: str, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels that are not there yet and return all labels of the issue; repeating it changes nothing."""
        if not labels or not all(label.strip() for label in labels):
            raise InvalidInputError("give at least one label, and no empty one")
        path = _issue(repository, number) + "/labels"
        response = await self._send("POST", path, document={"labels": list(labels)})
        return tuple(str(label["name"]) for label in items_of(response))

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
        page = page_of(await self._send("GET", url, parameters=parameters, headers=headers))
        self._check_own(page.next_url)
        return page

    def _check_own(self, url: str | None) -> None:
        # A link to another host would carry the token there.
        own = self._github.config.base_url
        if url is not None and not url.startswith(f"{own.scheme}://{own.netloc.decode()}/"):
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
            raise refusal(error, self._clock.now()) from error
        except ValueError as error:
            raise ConnectorUnavailableError(f"GitHub's answer cannot be read: {type(error).__name__}") from error


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
