"""The guarded client against real servers on loopback."""

import asyncio
import datetime as dt
import gzip
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bailiwick.outbound import AllowList, OutboundRefusedError, client
from bailiwick.outbound.transport import Bounds
from tests.support.web import Names, answer, serving

LOOPBACK = AllowList.parse("127.0.0.0/8:* [::1]:*")


async def test_an_allowed_server_is_reached() -> None:
    async with serving({"/": answer(body=b"hello")}) as web, client(allow=LOOPBACK) as http:
        assert (await http.get(web.url)).text == "hello"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "0.0.0", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "[::]", "public@127.0.0.1", "example.com:80@127.0.0.1", "127.0.0.1.", "１２７.0.0.1", "①②⑦.0.0.1",
    ],
)  # fmt: skip
async def test_no_spelling_of_this_machine_is_reached(host: str) -> None:
    async with serving({"/": answer(body=b"secret")}) as web, client() as http:
        with pytest.raises((OutboundRefusedError, httpx.ConnectError, httpx.InvalidURL)):
            await http.get(f"http://{host}:{web.port}/")
        assert web.requests == []


async def test_spellings_of_this_machine_are_refused_on_usual_ports_with_the_reason() -> None:
    async with client() as http:
        for host in ("2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "a@127.0.0.1"):
            with pytest.raises(OutboundRefusedError, match="this machine"):
                await http.get(f"http://{host}/")


async def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_answer_is_used() -> None:
    async with serving({"/": answer(body=b"first")}) as web:
        # The second answer would be refused; the third would be another machine.
        names = Names(rebind_example=["127.0.0.1", "10.0.0.1", "127.0.0.9"])
        async with client(allow=AllowList.parse("127.0.0.1:*"), resolver=names) as http:
            assert (await http.get(f"http://rebind.example:{web.port}/")).text == "first"
            assert names.asked == ["rebind.example"]
            with pytest.raises(OutboundRefusedError):
                await http.get(f"http://rebind.example:{web.port}/")
        assert f"host: rebind.example:{web.port}" in web.requests[0].lower()


async def test_a_redirect_to_a_private_address_is_refused() -> None:
    pages = {"/": answer("302 Found", location="http://inner.example/admin")}
    async with serving(pages) as web:
        names = Names(outer_example=["127.0.0.1"], inner_example=["10.0.0.7"])
        async with client(allow=AllowList.parse("127.0.0.1:*"), resolver=names) as http:
            with pytest.raises(OutboundRefusedError, match=r"inner\.example \(10\.0\.0\.7\)"):
                await http.get(f"http://outer.example:{web.port}/")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://x.example/"])
async def test_a_redirect_to_no_web_address_is_refused(target: str) -> None:
    async with serving({"/": answer("302 Found", location=target)}) as web, client(allow=LOOPBACK) as http:
        with pytest.raises((OutboundRefusedError, httpx.TransportError)):
            await http.get(web.url)


async def test_redirects_are_bounded() -> None:
    async with serving({"/": answer("302 Found", location="/")}) as web:
        async with client(allow=LOOPBACK, bounds=Bounds(redirects=3)) as http:
            with pytest.raises(httpx.TooManyRedirects):
                await http.get(web.url)
        assert len(web.requests) == 4


async def test_credentials_stay_with_the_origin_they_were_given_for() -> None:
    async with serving({"/end": answer(body=b"there")}) as other:
        pages = {
            "/": answer("307 Temporary Redirect", location="/same"),
            "/same": answer("307 Temporary Redirect", location=f"http://u:p@127.0.0.1:{other.port}/end"),
        }
        async with serving(pages) as web, client(allow=LOOPBACK, auth=("maria", "secret")) as http:
            headers = {"x-api-key": "secret", "cookie": "a=secret", "private-token": "secret"}
            reply = await http.post(web.url, headers=headers, json={"a": 1})
            assert reply.text == "there"
            assert all("x-api-key" in one and "authorization" in one.lower() for one in web.requests)
        (arrived,) = other.requests
        assert arrived.startswith("POST /end")
        assert arrived.endswith('{"a":1}')
        assert "secret" not in arrived
        assert "authorization" not in arrived.lower()
        assert f"127.0.0.1:{other.port}" in arrived


async def test_a_post_turns_into_a_get_where_browsers_do_so() -> None:
    pages = {"/": answer("303 See Other", location="/end"), "/end": answer(body=b"x")}
    async with serving(pages) as web, client(allow=LOOPBACK) as http:
        await http.post(web.url, json={"a": 1})
        assert web.requests[1].startswith("GET /end")
        assert "content-length" not in web.requests[1].lower()


async def test_an_answer_larger_than_the_bound_is_refused() -> None:
    async with (
        serving({"/": answer(body=b"x" * 2000)}) as web,
        client(allow=LOOPBACK, bounds=Bounds(response_bytes=1000)) as http,
    ):
        with pytest.raises(httpx.DecodingError, match="larger than 1,000 bytes"):
            await http.get(web.url)


async def test_a_small_packed_answer_cannot_grow_beyond_the_bound() -> None:
    bomb = answer(body=gzip.compress(bytes(20_000_000)), content_encoding="gzip")
    async with serving({"/": bomb}) as web, client(allow=LOOPBACK, bounds=Bounds(response_bytes=1_000_000)) as http:
        with pytest.raises(httpx.DecodingError, match="larger than"):
            await http.get(web.url)


async def test_a_packed_answer_is_unpacked_and_a_cut_one_is_noticed() -> None:
    packed = gzip.compress(b"hello" * 100_000)
    pages = {
        "/": answer(body=packed, content_encoding="gzip"),
        "/cut": answer(body=packed[:-20], content_encoding="gzip"),
        "/odd": answer(body=b"x", content_encoding="br"),
        "/wrong": answer(body=b"not packed", content_encoding="gzip"),
    }
    async with serving(pages) as web, client(allow=LOOPBACK) as http:
        assert (await http.get(web.url)).text == "hello" * 100_000
        for path in ("/cut", "/odd", "/wrong"):
            with pytest.raises(httpx.DecodingError):
                await http.get(web.url + path)


async def test_a_server_that_drips_is_left_when_the_total_time_is_over() -> None:
    def stall(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx")

    def mute(writer: asyncio.StreamWriter) -> None:
        del writer

    async with (
        serving({"/": stall, "/mute": mute}) as web,
        client(allow=LOOPBACK, bounds=Bounds(total_seconds=0.2)) as http,
    ):
        for path in ("/", "/mute"):
            with pytest.raises(httpx.ReadTimeout):
                await http.get(web.url + path)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving({"/": answer(body=b"straight")}) as web, serving({}) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with client(allow=LOOPBACK) as http:
            assert (await http.get(web.url)).text == "straight"
        assert proxy.requests == []


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certified("good.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    names = Names(good_example=["127.0.0.1"], evil_example=["127.0.0.1"])
    async with serving({"/": answer(body=b"safe")}, tls=tls) as web, client(allow=LOOPBACK, resolver=names) as http:
        assert (await http.get(f"https://good.example:{web.port}/")).text == "safe"
        with pytest.raises(httpx.ConnectError):
            await http.get(f"https://evil.example:{web.port}/")
        with pytest.raises(httpx.ConnectError):
            await http.get(f"https://evil.example:{web.port}/", extensions={"sni_hostname": "good.example"})


async def test_https_is_not_given_up_for_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certified("good.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    async with serving({"/": answer()}) as plain:
        pages = {"/": answer("302 Found", location=plain.url)}
        async with (
            serving(pages, tls=tls) as web,
            client(allow=LOOPBACK, resolver=Names(good_example=["127.0.0.1"])) as http,
        ):
            with pytest.raises(OutboundRefusedError, match="from https to http"):
                await http.get(f"https://good.example:{web.port}/")
        assert plain.requests == []


async def test_a_name_nobody_knows_is_a_connection_error() -> None:
    async def unknown(host: str, port: int) -> list[object]:
        raise OSError(f"{host}:{port}")

    async with client(resolver=unknown) as http:  # type: ignore[arg-type]
        with pytest.raises(httpx.ConnectError, match="cannot be resolved"):
            await http.get("http://nowhere.example/")


def certified(name: str, folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate for a name, which is written to the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
