"""What is taken out of texts and documents, and what stays."""

import base64
import time
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.ids import new_id
from bailiwick.telemetry.redacting import for_prompt, hide, redact, redacted, redacted_json

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIEowIBAAKCAQEA7\nq8Zw==\n-----END RSA PRIVATE KEY-----"
)
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLWJ5dGVz"

# The text, and what may be left of it.
FORMS = [
    ("bw_" + "a1B2c3" * 8, "bw_a1B2c3***"),
    ("bwr_" + "a1B2c3" * 8, "bwr_a1B2c3***"),
    ("bws_" + "a1B2c3" * 8, "bws_a1B2c3***"),
    ("ghp_" + "x" * 36, "ghp_***"),
    ("ghs_" + "x" * 36, "ghs_***"),
    ("github_pat_" + "x" * 22 + "_" + "y" * 59, "github_pat_***"),
    ("AKIA" + "A1" * 8, "AKIA***"),
    (JWT, "eyJ***"),
    (PEM, "-----BEGIN RSA PRIVATE KEY-----***"),
    ("postgresql://ada:hunter2@db:5432/x", "postgresql://ada:***@db:5432/x"),
    ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
]
HEADERS = [
    ("Authorization: Basic YWRhOmh1bnRlcjI=", "Authorization: Basic ***"),
    ("{'authorization': 'Bearer opaque'}", "{'authorization': 'Bearer ***'}"),
    ("Cookie: session=abc; theme=dark", "Cookie: ***"),
    ("bearer 0123456789abcdef0123", "bearer ***"),
    ("GET /setup?token=abc&next=1", "GET /setup?token=***&next=1"),
    ("https://example.org/callback?state=1&code=abc", "https://example.org/callback?state=1&code=***"),
]
HARMLESS = [
    "see https://example.org/a:b@c and 12:30",
    "http://localhost:8700/api/v1/tasks",
    "the password was wrong; the token has expired; bearer of bad news",
    "bw_short, ghp_short, AKIA, eyJ.a.b, BEGIN PRIVATE KEY",
    "send the header Authorization",
    "issue owner/name#7 of ada@example.org",
]


@pytest.mark.parametrize(("secret", "left"), FORMS)
def test_tokens_of_a_known_form_are_hidden_in_text_and_in_stored_json(secret: str, left: str) -> None:
    assert redacted(f"found {secret} here") == f"found {left} here"
    document = {"body": f"found {secret} here", "n": 7}
    assert orjson.loads(redacted_json(orjson.dumps(document))) == {"body": f"found {left} here", "n": 7}


@pytest.mark.parametrize(("text", "left"), HEADERS)
def test_headers_are_hidden_in_text(text: str, left: str) -> None:
    assert redacted(text) == left
    assert for_prompt(text) == left


@pytest.mark.parametrize("text", HARMLESS)
def test_the_rest_of_a_text_stays(text: str) -> None:
    assert redacted(text) == text
    encoded = orjson.dumps({"text": text})
    assert redacted_json(encoded) == encoded


def test_a_document_without_secrets_is_not_even_copied() -> None:
    encoded = orjson.dumps({"title": "a pump stands still", "url": "https://example.org:8443/a"})
    assert redacted_json(encoded) == encoded
    plain = orjson.dumps({"title": "a pump stands still"})
    assert redacted_json(plain) is plain


def test_a_truncated_private_key_is_hidden_as_far_as_it_goes() -> None:
    assert "MIIE" not in redacted(PEM[: len(PEM) // 2].replace("Proc-Type: 4,ENCRYPTED\n", ""))


@given(st.text(min_size=8, max_size=60).filter(lambda text: len(text.strip()) >= 8), st.text(), st.text())
def test_a_registered_value_is_found_plain_in_json_and_in_urls(tail: str, before: str, after: str) -> None:
    value = (new_id() + tail).strip()
    hide(value)
    for text in (f"{before}{value}{after}", f"https://example.org/?q={quote(value, safe='')}"):
        assert value not in redacted(text)
    stored = orjson.loads(redacted_json(orjson.dumps({"v": f"{before}{value}{after}", value: 1})))
    assert value not in stored["v"]
    assert value not in stored
    assert base64.b64encode(value.encode()).decode() not in redacted(base64.b64encode(value.encode()).decode())


def test_of_two_secrets_the_longer_is_hidden_whole() -> None:
    short = new_id()
    hide(short)
    hide(f"{short}-and-more")
    assert redacted(f"{short}-and-more") == "***"


@pytest.mark.parametrize(
    "value", ["short", "postgres", "        ", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7", None, "x" * 5000]
)
def test_what_is_too_short_too_long_or_no_text_is_not_registered(value: str | bytes | None) -> None:
    hide(value)
    text = "short postgres         " + "x" * 5000
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "token", "accessToken", "refresh_token", "client_secret", "api_key", "apiKey",
     "API-Key", "Authorization", "cookie", "Set-Cookie", "private_key", "credentials", "master_key"],
)  # fmt: skip
def test_fields_named_like_a_secret_are_hidden_in_documents(name: str) -> None:
    assert redact({"a": [{name: "x"}]}) == {"a": [{name: "***"}]}


@pytest.mark.parametrize("name", ["key", "issue_key", "dedupe_key", "tokens", "max_tokens", "secretary", "author"])
def test_other_fields_stay(name: str) -> None:
    assert redact({name: "x"}) == {name: "x"}


def test_numbers_stay_whatever_their_field_is_called() -> None:
    assert redact({"token": 7, "password": None, "secret": ""}) == {"token": 7, "password": None, "secret": ""}


@pytest.mark.parametrize(
    "part",
    ["-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa-", "eyJaaaaaaaa.", "a://b:", "Authorization: ", "cookie=", "bearer ",
     "ghp_", "bw_a", "?a-token", "#password=","github_pat_", "AKIA", "-----BEGIN PRIVATE KEY-----A-"],
)  # fmt: skip
def test_no_text_from_outside_makes_it_slow(part: str) -> None:
    text = part * (256 * 1024 // len(part))
    begun = time.process_time()
    redacted(text)
    redacted_json(orjson.dumps(text))
    assert time.process_time() - begun < 2.0
