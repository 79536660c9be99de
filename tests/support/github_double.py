"""A local server that speaks the part of GitHub's documented REST format that the connector uses.

Listing issues with ``since``, ``state``, pages and ``Link`` headers; ``ETag``
and conditional requests; rate-limit headers, and the answers when a limit is
reached. It counts requests and can be told to fail, or to do as asked and let
the answer be lost. What it writes is written by the demo's forge.
"""

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bailiwick.demo.forge import Forge

TOKEN = "ghp_double0123456789planted"


@dataclass
class Answer:
    """What to answer instead of the next request's real answer."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass
class GitHubDouble(Forge):
    """One repository and what was asked about it."""

    repository: str = "acme/shop"
    now: datetime = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    remaining: int = 5000
    resets_at: datetime = datetime(2026, 3, 1, 13, 0, 0, tzinfo=UTC)
    requests: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    planned: list[Answer] = field(default_factory=list)
    # How many of the next writes are done without an answer that arrives.
    lost_answers: int = 0

    def __post_init__(self) -> None:
        """Write by the double's own time."""
        self.clock = lambda: self.now

    def issue(self, number: int, *, created_at: str, updated_at: str | None = None, **changes: Any) -> dict[str, Any]:
        """Put an issue into the repository, as GitHub would show it."""
        default = {
            "title": f"Checkout fails, case {number}",
            "body": "The basket is empty after payment.",
            "labels": [{"id": 1, "name": "bug", "color": "d73a4a"}],
        }
        return self.put_issue(number, created_at=created_at, updated_at=updated_at, **(default | changes))

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return what GitHub would answer."""
        self.requests.append(f"{method} {target}")
        if self.planned:
            return self.planned.pop(0)
        if headers.get("authorization") not in (f"token {TOKEN}", f"Bearer {TOKEN}"):
            return Answer(401, {"message": "Bad credentials"})
        if self.remaining == 0:
            return Answer(403, {"message": "API rate limit exceeded for user ID 5."}, self._limits())
        path = urlsplit(target).path.removeprefix("/api/v3").strip("/")
        known = ["repos", *self.repository.split("/"), "issues"]
        if path.split("/") == known or (
            method == "GET" and path.endswith(("/comments", "/events")) and self._has(path)
        ):
            return self._listing(target, headers)
        reply = self.respond(method, path, json.loads(body) if body else None)
        if method != "GET" and self.lost_answers:
            self.lost_answers -= 1
            return Answer(0)
        return Answer(reply.status, reply.document, self._limits())

    def _has(self, path: str) -> bool:
        return self.respond("GET", path).status == HTTPStatus.OK

    def _matching(self, query: dict[str, str]) -> list[dict[str, Any]]:
        state, since = query.get("state", "open"), query.get("since", "")
        found = [issue for issue in self.issues.values() if state == "all" or issue["state"] == state]
        # All times here are written in one form, so their texts sort as the times do.
        return sorted((issue for issue in found if issue["updated_at"] >= since), key=lambda issue: issue["updated_at"])

    def _listing(self, target: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.strip("/").split("/")
        if path[-1] in ("comments", "events"):
            items = {"comments": self.comments, "events": self.events}[path[-1]].get(int(path[-2]), [])
        else:
            items = self._matching(query)
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        shown = items[(page - 1) * size : page * size]
        etag = f'W/"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()}"'
        answer = Answer(200, shown, {"ETag": etag})
        if page * size < len(items):
            following = urlencode(query | {"page": str(page + 1)})
            answer.headers["Link"] = f'<{self.url}{parts.path}?{following}>; rel="next"'
        if headers.get("if-none-match") == etag:
            # A conditional request that finds nothing new is free.
            answer = Answer(304, None, {"ETag": etag})
        else:
            self.remaining -= 1
        answer.headers |= self._limits()
        return answer

    def _limits(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(int(self.resets_at.timestamp())),
        }


@contextmanager
def running_github_double() -> Generator[GitHubDouble]:
    """Serve a double on a free loopback port until the block ends."""
    double = GitHubDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            named = {name.lower(): value for name, value in self.headers.items()}
            answer = double.answer(self.command, self.path, named, body)
            double.statuses.append(answer.status)
            if not answer.status:
                self.close_connection = True
                return
            data = json.dumps(answer.document).encode() if answer.raw is None else answer.raw
            data = b"" if answer.status in (HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT) else data
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Date", format_datetime(double.now, usegmt=True))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
