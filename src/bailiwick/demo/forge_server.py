"""Serves the demo's forge over HTTP on a free loopback port, as long as the demo runs."""

import json
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bailiwick.demo.content import demo_issue_documents
from bailiwick.demo.forge import Forge, Reply

KEPT_IN = "forge.json"


@dataclass(frozen=True, slots=True)
class RunningForge:
    """A forge that answers at ``url`` to whoever shows ``token``."""

    forge: Forge
    url: str
    token: str

    @property
    def place(self) -> str:
        """Its host and port, as they are allowed to be called."""
        return self.url.removeprefix("http://")


@contextmanager
def running_forge(repository: str, folder: Path) -> Generator[RunningForge]:
    """Serve the repository with the demo's issues until the block ends; what was written there is kept in the folder.

    It stands in for GitHub: everything the agents do outside arrives here and nowhere else.
    """
    forge = Forge(repository)
    kept = folder / KEPT_IN
    if kept.exists():
        forge.restore(kept.read_text(encoding="utf-8"))
    else:
        _furnish(forge)
    # Another one each time: whoever finds it in a log can do nothing with it.
    running_token = secrets.token_urlsafe(32)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(forge, running_token, threading.Lock()))
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-forge")
    thread.start()
    try:
        yield RunningForge(forge, forge.url, running_token)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        kept.write_text(forge.to_json(), encoding="utf-8")


def _furnish(forge: Forge) -> None:
    for document in demo_issue_documents():
        comments = document.pop("comments", [])
        known = {name: document[name] for name in document if name not in ("url", "repository_url", "comments_count")}
        number, created_at = known.pop("number"), known.pop("created_at")
        forge.put_issue(number, created_at=created_at, updated_at=known.pop("updated_at", None), **known)
        forge.issues[number]["comments"] = len(comments)
        forge.comments[number] = comments


def _handler(forge: Forge, token: str, lock: threading.Lock) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            reply = self._reply(body)
            data = b"" if reply.status == HTTPStatus.NO_CONTENT else orjson.dumps(reply.document)
            self.send_response_only(reply.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _reply(self, body: bytes) -> Reply:
            if self.headers.get("authorization") not in (f"token {token}", f"Bearer {token}"):
                return Reply(HTTPStatus.UNAUTHORIZED, {"message": "Bad credentials"})
            try:
                document = json.loads(body) if body else None
                with lock:
                    return forge.respond(self.command, urlsplit(self.path).path, document)
            except (ValueError, KeyError, TypeError):
                return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, {"message": "Validation Failed"})

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent: the terminal belongs to the demo's screen."""

    return Handler
