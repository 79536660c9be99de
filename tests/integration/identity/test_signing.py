"""Access tokens: only what this installation signed for itself is taken, and rotation logs nobody out."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bailiwick.audit import SYSTEM
from bailiwick.kernel.errors import TokenExpiredError, TokenRefusedError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.support.identity import MASTER_KEY, Identity

USER, SESSION = new_id(), new_id()
Forge = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], str]


@pytest.fixture
def identity(database: Database, login_url: str) -> Identity:
    return Identity.of(database, login_url)


async def signed(identity: Identity, *, now: datetime | None = None) -> str:
    return (await identity.signing.sign(USER, SESSION, ["pwd"], now=now)).text


def encoded(document: object) -> str:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def with_header(token: str, **changes: Any) -> str:
    head, claims, signature = token.split(".")
    header = {name: value for name, value in {**decoded(head), **changes}.items() if value is not None}
    return f"{encoded(header)}.{claims}.{signature}"


async def test_a_token_says_who_by_which_login_how_and_until_when(identity: Identity) -> None:
    now = datetime.now(UTC)
    token = await signed(identity, now=now)
    head, claims = (decoded(part) for part in token.split(".")[:2])
    assert head == {"alg": "Ed25519", "kid": head["kid"], "typ": "at+jwt"}
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "amr"}
    assert claims["exp"] - claims["iat"] == 30 * 60
    read = await identity.signing.read(token)
    assert (read.user_id, read.session_id, read.methods) == (USER, SESSION, ("pwd",))
    assert read.token_id == claims["jti"]


async def test_the_first_key_is_made_once_however_many_begin_at_once(identity: Identity) -> None:
    processes = [identity.another_process() for _ in range(4)]
    tokens = await asyncio.gather(*(signed(process) for process in processes))
    assert len({decoded(token.split(".")[0])["kid"] for token in tokens}) == 1
    for token in tokens:
        assert (await identity.signing.read(token)).user_id == USER


async def test_private_keys_are_sealed(identity: Identity) -> None:
    await signed(identity)
    [row] = identity.as_superuser("select private_key, public_key from signing_keys")
    assert b"kty" not in row["private_key"]
    assert "d" not in row["public_key"]
    [public] = await identity.signing.public_keys()
    assert "d" not in public
    assert {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "use": "sig"}.items() <= public.items()
    assert MASTER_KEY is not None


def signed_by(key: Any, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def by_public_key_as_secret(header: dict[str, Any], claims: dict[str, Any], public: dict[str, Any]) -> str:
    """The classic confusion: a MAC under the public key, which everybody has."""
    raw = base64.urlsafe_b64decode(public["x"] + "==")
    text = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.new(raw, text.encode(), hashlib.sha256).digest())}"


FORGERIES: dict[str, Forge] = {
    "alg none": lambda header, claims, _: f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}.",
    "alg none in capitals": lambda header, claims, _: f"{encoded({**header, 'alg': 'NoNe'})}.{encoded(claims)}.",
    "no alg": lambda header, claims, _: f"{encoded({k: header[k] for k in ('kid', 'typ')})}.{encoded(claims)}.AAAA",
    "the public key as a secret": by_public_key_as_secret,
    "RS256": lambda header, claims, _: signed_by(RSAKey.generate_key(2048), {**header, "alg": "RS256"}, claims),
    "ES256": lambda header, claims, _: signed_by(ECKey.generate_key("P-256"), {**header, "alg": "ES256"}, claims),
    "another key under our name": lambda header, claims, _: signed_by(OKPKey.generate_key("Ed25519"), header, claims),
    "an unknown key": lambda header, claims, _: signed_by(
        OKPKey.generate_key("Ed25519"), {**header, "kid": "unknown"}, claims
    ),
    "a key's name as a path": lambda header, claims, _: signed_by(
        OKPKey.generate_key("Ed25519"), {**header, "kid": "../../dev/null"}, claims
    ),
    "an empty signature": lambda header, claims, _: f"{encoded(header)}.{encoded(claims)}.",
    "a header that is a list": lambda _, claims, __: f"{encoded([1])}.{encoded(claims)}.AAAA",
    "a header that is no JSON": lambda _, claims, __: f"{encoded(b'{')}.{encoded(claims)}.AAAA",
    "bottomless nesting": lambda _, claims, __: f"{encoded(b'[' * 100_000)}.{encoded(claims)}.AAAA",
    "four parts": lambda header, claims, _: f"{encoded(header)}.{encoded(claims)}.AAAA.AAAA",
    "encrypted": lambda header, claims, _: ".".join([encoded(header), "", encoded(claims), "AAAA", "AAAA"]),
    "nothing": lambda _, __, ___: "..",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forgery_is_refused(identity: Identity, name: str) -> None:
    header, claims = (decoded(part) for part in (await signed(identity)).split(".")[:2])
    [public] = await identity.signing.public_keys()
    with pytest.raises(TokenRefusedError):
        await identity.signing.read(FORGERIES[name](header, claims, public))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"jku": "https://evil.example/keys.json"}, "jku"),
        ({"x5u": "https://evil.example/cert.pem"}, "x5u"),
        ({"x5c": ["AAAA"]}, "x5c"),
        ({"jwk": OKPKey.generate_key("Ed25519").as_dict(private=False)}, "jwk"),
        ({"crit": ["exp"], "exp": 1}, "crit"),
        ({"crit": []}, "crit"),
        ({"crit": 7}, "crit"),
        ({"b64": False}, "b64"),
        ({"zip": "DEF"}, "zip"),
        ({"cty": "JWT"}, "cty"),
        ({"typ": "JWT"}, "type"),
        ({"typ": None}, "type"),
        ({"kid": None}, "name the key"),
        ({"kid": 7}, "name the key"),
        ({"alg": "EdDSA"}, "Ed25519"),
        ({"alg": ["Ed25519"]}, "Ed25519"),
    ],
)
async def test_a_header_can_ask_for_nothing(identity: Identity, changes: dict[str, Any], named: str) -> None:
    token = await signed(identity)
    with pytest.raises(TokenRefusedError, match=named):
        await identity.signing.read(with_header(token, **changes))


async def test_any_changed_letter_is_noticed(identity: Identity) -> None:
    token = await signed(identity)
    header, claims, signature = token.split(".")
    changed = encoded({**decoded(claims), "sub": new_id()})
    for other in (
        f"{header}.{changed}.{signature}",
        f"{header}.{claims}.{signature[:-3]}AAA",
        f"{header}.{claims}.{signature}AAAA",
        f"{header}.{claims}A.{signature}",
    ):
        with pytest.raises(TokenRefusedError):
            await identity.signing.read(other)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "somebody"}, "somebody else"),
        ({"iss": None}, "somebody else"),
        ({"aud": "another-api"}, "somebody else"),
        ({"aud": ["bailiwick-api", "another-api"]}, "somebody else"),
        ({"nbf": 2_000_000_000}, "not valid yet"),
        ({"iat": 2_000_000_000}, "not valid yet"),
        ({"exp": None}, "exp"),
        ({"exp": "2100-01-01"}, "exp"),
        ({"exp": 1e300}, "exp"),
        ({"exp": True}, "exp"),
        ({"nbf": None}, "nbf"),
        ({"sub": None}, "sub"),
        ({"sub": "root"}, "sub"),
        ({"sid": None}, "sid"),
        ({"jti": 7}, "jti"),
        ({"amr": "pwd"}, "amr"),
    ],
)
async def test_claims_must_hold_even_under_our_own_signature(
    identity: Identity, changes: dict[str, Any], why: str
) -> None:
    token = await signed(identity)
    header, claims = (decoded(part) for part in token.split(".")[:2])
    kid, key = await identity.signing._current()
    made = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    assert kid == header["kid"]
    with pytest.raises(TokenRefusedError, match=why):
        await identity.signing.read(signed_by(key, header, made))


async def test_an_expired_token_is_told_from_a_bad_one(identity: Identity) -> None:
    now = datetime.now(UTC)
    token = await signed(identity, now=now)
    assert await identity.signing.read(token, now=now + timedelta(minutes=29, seconds=58))
    with pytest.raises(TokenExpiredError, match="refresh"):
        await identity.signing.read(token, now=now + timedelta(minutes=30))
    early = await signed(identity, now=now + timedelta(minutes=5))
    with pytest.raises(TokenRefusedError, match="clocks"):
        await identity.signing.read(early, now=now)


async def test_rotation_logs_nobody_out(identity: Identity) -> None:
    elsewhere = identity.another_process()
    before = await signed(identity)
    assert await elsewhere.signing.read(before)
    kid = await identity.signing.rotate(actor=SYSTEM)
    after = await signed(identity)
    assert decoded(after.split(".")[0])["kid"] == kid != decoded(before.split(".")[0])["kid"]
    for process in (identity, identity.another_process()):
        for token in (before, after):
            assert (await process.signing.read(token)).user_id == USER
    assert (await identity.signing.public_keys())[0]["kid"] == kid
    assert len(await identity.signing.public_keys()) == 2
    assert identity.acts("signing_key.rotated")[0]["target"] == f"signing_key:{kid}"


async def test_a_retired_key_verifies_until_its_last_token_has_expired_and_is_then_removed(identity: Identity) -> None:
    await signed(identity)
    await identity.signing.rotate(actor=SYSTEM)
    soon, late = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (29, 40))
    assert len(await identity.signing.public_keys(now=soon)) == 2
    assert len(await identity.signing.public_keys(now=late)) == 1
    await identity.signing.rotate_if_due(now=soon)
    assert len(await identity.signing.list()) == 2
    await identity.signing.rotate_if_due(now=late)
    assert len(await identity.signing.list()) == 1


async def test_a_key_is_rotated_after_ninety_days_and_once_only(identity: Identity) -> None:
    assert await identity.signing.rotate_if_due() is None
    await signed(identity)
    assert await identity.signing.rotate_if_due() is None
    identity.as_superuser("update signing_keys set created_at = now() - interval '90 days'")
    processes = [identity.another_process() for _ in range(3)]
    await asyncio.gather(*(process.signing.rotate_if_due() for process in processes))
    assert len(await identity.signing.list()) == 2
