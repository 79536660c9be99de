"""Starts the real OpenID Connect server of the tests, and plays a person with a browser at it."""

import html
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx

# Everybody's, in canaille_server.py, which only the other process imports.
PASSWORD = "correct horse battery"
_SCRIPT = Path(__file__).with_name("canaille_server.py")
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_ACTION = re.compile(r'<form[^>]*action="([^"]*)"')


@dataclass(frozen=True)
class Client:
    """Who an application is at the server."""

    client_id: str
    client_secret: str


@dataclass(frozen=True)
class IdentityServer:
    """A running server; ``issuer`` is its address."""

    issuer: str

    def register(self, redirect_uri: str) -> Client:
        """Make an application known there (RFC 7591)."""
        answer = httpx.post(
            f"{self.issuer}/oauth/register",
            json={
                "client_name": "Bailiwick",
                "redirect_uris": [redirect_uri],
                "grant_types": ["authorization_code"],
                "response_types": ["code"],
                "scope": "openid email profile groups",
                "token_endpoint_auth_method": "client_secret_basic",
            },
        )
        document = answer.raise_for_status().json()
        return Client(document["client_id"], document["client_secret"])

    def log_in(self, url: str, person: str, *, consents: bool = True) -> dict[str, str]:
        """Follow a login from where the application sent the browser; return what is sent back to the application."""
        with httpx.Client(base_url=self.issuer) as browser:
            answer = browser.get(url)
            for _ in range(12):
                place = answer.headers.get("location")
                if place is not None and not place.startswith(("/", self.issuer)):
                    return dict(parse_qsl(urlsplit(place).query))
                if place is not None:
                    answer = browser.get(place)
                else:
                    form = self._filled(answer.text, person, consents=consents)
                    answer = browser.post(self._action(answer), data=form)
        raise AssertionError(f"the login at {self.issuer} did not end")

    def _filled(self, page: str, person: str, *, consents: bool) -> dict[str, str]:
        csrf = _CSRF.search(page)
        assert csrf is not None, page
        form = {"csrf_token": csrf[1]}
        if 'name="login"' in page:
            return {**form, "login": person}
        if 'name="password"' in page:
            return {**form, "password": PASSWORD}
        return {**form, "answer": "accept" if consents else "deny"}

    def _action(self, answer: httpx.Response) -> str:
        action = _ACTION.search(answer.text)
        return html.unescape(action[1]) if action is not None and action[1] else str(answer.url)


@contextmanager
def running_identity_server() -> Generator[IdentityServer]:
    """Run the server for a block, as a process of its own on a free port of this machine."""
    process = subprocess.Popen(
        [sys.executable, str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        issuer = process.stdout.readline().strip()
        assert issuer.startswith("http://127.0.0.1:"), "the identity server did not start"
        yield IdentityServer(issuer)
    finally:
        # It ends with its input.
        process.communicate(timeout=20)
