"""An identity provider that lies as a test tells it to, on a port of this machine. Also plays a GitHub server."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})

Bend = Callable[[dict[str, Any]], object]


class CrookedProvider:
    """Answers as a provider does, after ``bend_*`` has changed what it says."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"sub": "s-1", "email": "maria@example.org", "email_verified": True}
        self.bend_metadata: Bend = lambda _: None
        self.bend_claims: Bend = lambda _: None
        self.bend_tokens: Bend = lambda _: None
        self.signing_key: RSAKey = KEY
        self.published: list[RSAKey] = [KEY]
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "first"}
        self.is_unsigned = False
        self.is_signed_with_the_public_key = False
        self.userinfo: dict[str, Any] | None = None
        self.nonce = ""
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.github: dict[str, Any] = {}

    def visit(self, url: str, **changed: str) -> dict[str, str]:
        """Play the browser that comes here and is sent back at once; ``changed`` is what an attacker alters."""
        query = dict(parse_qsl(urlsplit(url).query))
        self.nonce = query.get("nonce", "")
        return {"code": "c-1", "state": query["state"], **changed}

    def answer(self, method: str, path: str, form: dict[str, str], authorization: str | None) -> Any:
        self.asked.append((path, form, authorization))
        if path == "/.well-known/openid-configuration":
            return self._metadata()
        if path == "/jwks":
            return {"keys": [key.as_dict(private=False) for key in self.published]}
        if path == "/token":
            return self._tokens(form)
        if path == "/userinfo":
            return self.userinfo
        if path == "/login/oauth/access_token":
            return {"access_token": "gh-token", "token_type": "bearer"}
        return self.github.get(path)

    def times_asked(self, path: str) -> int:
        return sum(asked == path for asked, _, _ in self.asked)

    def _metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }
        if self.userinfo is not None:
            document["userinfo_endpoint"] = f"{self.issuer}/userinfo"
        self.bend_metadata(document)
        return document

    def _tokens(self, form: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        half = hashlib.sha256(b"at").digest()[:16]
        claims = {
            "iss": self.issuer, "aud": "client", "iat": now, "exp": now + 300, "nonce": self.nonce,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(), **self.claims,
        }  # fmt: skip
        self.bend_claims(claims)
        tokens: dict[str, Any] = {"access_token": "at", "token_type": "Bearer", "id_token": self._signed(claims)}
        self.bend_tokens(tokens)
        return tokens

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.is_unsigned:
            return f"{_b64({'alg': 'none', 'typ': 'JWT'})}.{_b64(claims)}."
        if self.is_signed_with_the_public_key:
            # The classic confusion: the public key, which everybody has, as the secret of an HMAC.
            secret = OctKey.import_key(hashlib.sha256(KEY.as_pem(private=False)).hexdigest())
            return jwt.encode({"alg": "HS256", "kid": "first"}, claims, secret, algorithms=["HS256"])
        return jwt.encode(self.header, claims, self.signing_key, algorithms=[self.header["alg"]])


def _b64(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


@contextmanager
def running_crooked_provider() -> Generator[CrookedProvider]:
    """Serve for a block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send("GET", {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            self._send("POST", {name: values[0] for name, values in parse_qs(body).items()})

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _send(self, method: str, form: dict[str, str]) -> None:
            path = self.path.partition("?")[0]
            document = provider.answer(method, path, form, self.headers.get("authorization"))
            status = 404 if document is None else document.pop("_status", 200) if isinstance(document, dict) else 200
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            if status in (302, 307):
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider = CrookedProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
