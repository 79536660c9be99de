"""Access tokens: signed documents (RFC 9068) that say who calls, for how long, and by which login.

Imported when the first token is made or read: the libraries take longer to
load than a start of the platform may take.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from bailiwick.kernel.errors import TokenExpiredError, TokenRefusedError
from bailiwick.kernel.ids import parse_id

# RFC 9864; Ed25519 is deterministic, and its keys and signatures are short.
ALGORITHM = "Ed25519"
TYPE = "at+jwt"
_HEADER = frozenset({"alg", "kid", "typ"})
# How far the clocks of two machines may be apart.
_LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified access token says; ``methods`` are the ways its owner proved who they are."""

    user_id: str
    session_id: str
    token_id: str
    methods: tuple[str, ...]
    expires_at: datetime


def new_key() -> OKPKey:
    """Return a new key to sign with."""
    return OKPKey.generate_key("Ed25519", auto_kid=True)


def public_document(key: OKPKey) -> dict[str, Any]:
    """Return what everybody may know of a key, as a JWK."""
    return {**key.as_dict(private=False), "kid": key.kid, "alg": ALGORITHM, "use": "sig"}


def private_document(key: OKPKey) -> bytes:
    """Return the whole key, as a JWK in JSON; a secret."""
    return json.dumps(key.as_dict(private=True)).encode()


def read_key(document: Mapping[str, Any] | bytes) -> OKPKey:
    """Return the key of a JWK."""
    found = json.loads(document) if isinstance(document, bytes) else dict(document)
    return OKPKey.import_key({name: found[name] for name in ("kty", "crv", "x", "d", "kid") if name in found})


def sign(key: OKPKey, kid: str, claims: Mapping[str, Any]) -> str:
    """Return a signed token."""
    return jwt.encode({"alg": ALGORITHM, "kid": kid, "typ": TYPE}, dict(claims), key, algorithms=[ALGORITHM])


def kid_of(token: str) -> str:
    """Return the name of the key that a token says it is signed by; nothing is verified yet.

    The header decides nothing else: exactly ``alg``, ``kid`` and ``typ`` are
    taken, so it can neither bring a key of its own nor ask for another algorithm.

    Raises:
        TokenRefusedError: it is no access token of ours.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRefusedError("the token is not a signed access token of this platform; log in again")
    try:
        header: Any = json.loads(base64.b64decode(parts[0] + "=" * (-len(parts[0]) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise TokenRefusedError("the token's header cannot be read; log in again")
    header = cast("dict[str, Any]", header)
    extra = sorted(header.keys() - _HEADER)
    if extra:
        raise TokenRefusedError(f"the token's header holds {', '.join(extra)[:100]}, which is not accepted here")
    if header.get("alg") != ALGORITHM:
        raise TokenRefusedError(f"the token is not signed with {ALGORITHM}, and nothing else is accepted here")
    if header.get("typ") != TYPE:
        raise TokenRefusedError(f"the token is not of the type {TYPE}; send the access token")
    if not isinstance(header.get("kid"), str):
        raise TokenRefusedError("the token does not name the key it is signed with")
    return header["kid"]


def verify(token: str, key: OKPKey, *, issuer: str, audience: str, now: datetime) -> AccessClaims:
    """Return what a token says, once its signature and every claim hold.

    Raises:
        TokenExpiredError: it was good and its time is over.
        TokenRefusedError: anything else is wrong with it.
    """
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError) as error:
        raise TokenRefusedError("the token's signature is wrong: it was forged or changed on its way") from error
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise TokenRefusedError("the token was made by or for somebody else; log in here")
    begins, ends = _moment(claims, "nbf"), _moment(claims, "exp")
    if max(begins, _moment(claims, "iat")) > now.timestamp() + _LEEWAY_SECONDS:
        raise TokenRefusedError("the token is not valid yet; compare the clocks of the machines")
    if ends <= now.timestamp():
        raise TokenExpiredError("the access token has expired; get the next with POST /api/v1/token/refresh")
    methods = claims.get("amr")
    if not isinstance(methods, list):
        raise TokenRefusedError("the token lacks the claim amr")
    names = tuple(str(method) for method in cast("list[object]", methods))
    user, session, identifier = (_identifier(claims, name) for name in ("sub", "sid", "jti"))
    return AccessClaims(user, session, identifier, names, datetime.fromtimestamp(ends, tz=UTC))


def _moment(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        raise TokenRefusedError(f"the token lacks the claim {name}")
    return value


def _identifier(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    found = parse_id(value) if isinstance(value, str) else None
    if found is None:
        raise TokenRefusedError(f"the token lacks the claim {name}")
    return found
