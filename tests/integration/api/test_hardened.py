"""What protects every answer and every connection: headers, limits of bodies, TLS."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bailiwick.api.doorkeeper import MAX_BODY_BYTES, MAX_DEPTH
from bailiwick.api.encryption import tls_context
from bailiwick.api.serving import Server
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.main import main
from tests.integration.api.conftest import Premises
from tests.support.api import operations

WITH_BODY = ("post", "put", "patch", "delete")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bailiwick test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def test_over_tls_browsers_are_told_never_to_come_otherwise(
    premises: Premises, certificate: tuple[Path, Path]
) -> None:
    settings = premises.installation.settings
    settings.tls_certificate, settings.tls_key = certificate
    trusting = ssl.create_default_context(cafile=certificate[0])
    async with Server(premises.installation) as server:
        assert server.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trusting) as client:
            answer = await client.get(f"{server.url}/healthz")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_tls_before_1_2_and_plain_http_are_refused(premises: Premises, certificate: tuple[Path, Path]) -> None:
    settings = premises.installation.settings
    settings.tls_certificate, settings.tls_key = certificate
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificate[0])
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with Server(premises.installation) as server:
        async with httpx.AsyncClient(verify=old) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"{server.url}/healthz")
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"{server.url.replace('https', 'http')}/healthz")


def test_only_suites_with_forward_secrecy_are_offered(certificate: tuple[Path, Path]) -> None:
    context = tls_context(*certificate)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    for suite in context.get_ciphers():
        assert suite["name"].startswith(("ECDHE-", "TLS_"))
        assert "GCM" in suite["name"] or "CHACHA20" in suite["name"]


def test_what_cannot_serve_tls_is_told_with_what_to_do(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="both"):
        tls_context(certificate[0], None)
    with pytest.raises(InvalidInputError, match="no file"):
        tls_context(certificate[0], tmp_path / "none.pem")
    with pytest.raises(InvalidInputError, match="PEM files"):
        tls_context(certificate[0], certificate[0])
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(certificate[1].read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    with pytest.raises(InvalidInputError, match="without a password"):
        tls_context(certificate[0], locked)


async def test_who_sends_no_key_is_told_how_and_the_pages_of_links_name_this_host(premises: Premises) -> None:
    async with premises.client() as anybody:
        refused = (await anybody.get("/api/v1/limits")).json()["detail"]
        page = await anybody.get("/invitation?token=x")
    assert "Authorization, behind the word Bearer" in refused
    assert "***" not in refused
    assert f"curl -X POST {page.url.scheme}://{page.url.netloc.decode()}/api/v1/invitations/accept" in page.text


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/limits", "/api/v1/nothing", "/metrics", "/", "/setup"])
async def test_every_answer_carries_the_security_headers(premises: Premises, path: str) -> None:
    async with premises.client(premises.admin_key) as client:
        headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers
    assert "server" not in headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'" if path in ("/", "/setup") else "default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    # No outside origin, no wildcard, nothing inline.
    for word in ("http", "*", "unsafe", "//"):
        assert word not in policy


async def test_a_refusal_carries_them_too(premises: Premises) -> None:
    async with premises.client() as client:
        answer = await client.get("/api/v1/limits")
    assert answer.status_code == 401
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_no_operation_takes_a_body_that_is_too_large_or_too_deep(premises: Premises) -> None:
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    tried = 0
    async with premises.client(premises.admin_key) as client:
        for operation in operations(premises.app):
            if operation.method not in WITH_BODY or operation.path.startswith("/api/v1/webhooks/"):
                continue
            tried += 1
            path = operation.path.replace("{", "").replace("}", "")
            json = {"content-type": "application/json"}
            large = await client.request(operation.method, path, content=b"x" * (MAX_BODY_BYTES + 1), headers=json)
            assert large.status_code in (413, 429), operation.name
            nested = await client.request(operation.method, path, content=deep, headers=json)
            assert nested.status_code in (422, 429), operation.name
    assert tried > 20


async def test_a_body_that_does_not_say_it_is_json_is_not_read_as_json(premises: Premises) -> None:
    body = orjson.dumps({"max_concurrency": 1})
    async with premises.client(premises.acme_key) as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", None):
            headers = {} if kind is None else {"content-type": kind}
            answer = await client.put("/api/v1/limits/organization", content=body, headers=headers)
            assert answer.status_code == 422, kind


async def test_a_header_block_without_end_is_cut_off(premises: Premises) -> None:
    async with Server(premises.installation) as server:
        host, port = server.url.removeprefix("http://").split(":")

        def flood() -> bytes:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
                try:
                    for _ in range(200):
                        connection.sendall(b"X-Long: " + b"a" * 8000 + b"\r\n")
                    return connection.recv(100)
                except OSError:
                    return b""

        assert not (await asyncio.to_thread(flood)).startswith(b"HTTP/1.1 200")


def test_a_certificate_without_its_key_is_told_before_anything_starts(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAILIWICK_TLS_CERTIFICATE", str(certificate[0]))
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert main(["up", "--port", "0"]) == 2
    assert "BAILIWICK_TLS_KEY" in capsys.readouterr().err
