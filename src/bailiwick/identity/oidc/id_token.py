"""ID tokens (OpenID Connect Core 1.0, 3.1.3.7) and the keys they are checked with. Imported at the first login."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jwk, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import extract_compact

from bailiwick.identity.oidc.errors import IdentityProviderError, IdentityUnprovenError

# Signatures that only the provider can make. Never "none", and never HS*, whose key every client has.
ASYMMETRIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_LEEWAY_SECONDS = 60
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}

PublicKey = RSAKey | ECKey | OKPKey


class Keys:
    """The public keys of one provider."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, document: Any) -> "Keys":
        """Return the keys in a JWK set; those of an unknown kind, or not for signatures, are left out.

        Raises:
            IdentityProviderError: none is left.
        """
        listed: Any = document.get("keys") if isinstance(document, dict) else None
        found: list[PublicKey] = []
        for one in cast("list[Any]", listed) if isinstance(listed, list) else []:
            if isinstance(one, dict) and one.get("use", "sig") == "sig" and one.get("kty") in ("RSA", "EC", "OKP"):
                try:
                    found.append(cast("PublicKey", jwk.import_key(one)))
                except (JoseError, ValueError, TypeError, KeyError):
                    continue
        if not found:
            raise IdentityProviderError("the identity provider publishes no key that signatures can be checked with")
        return cls(found)

    def has(self, kid: str) -> bool:
        """Tell whether a key of that id is among them."""
        return any(key.kid == kid for key in self._keys)

    def matching(self, kid: str | None, algorithm: str) -> list[PublicKey]:
        """Return the keys that may have made a signature."""
        return [
            key
            for key in self._keys
            if key.key_type == _KEY_TYPES.get(algorithm[:2]) and (kid is None or key.kid == kid)
        ]


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token has to say for one login."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: tuple[str, ...]


def key_id_of(token: str) -> str | None:
    """Return the id of the key that an ID token says it is signed with, or None.

    Raises:
        IdentityUnprovenError: it is no signed token.
    """
    kid = _header(token).get("kid")
    return kid if isinstance(kid, str) else None


def verified_claims(
    token: str, keys: Keys, expected: Expected, *, access_token: str | None = None, now: float | None = None
) -> dict[str, Any]:
    """Return the claims of an ID token after every check of OpenID Connect Core 3.1.3.7.

    ``now`` is the Unix time to check against; the present one if left out.

    Raises:
        IdentityUnprovenError: one of them fails; the message says which.
    """
    algorithm = _header(token).get("alg")
    if algorithm not in ASYMMETRIC or algorithm not in expected.algorithms:
        raise _unproven(f"it is signed with {str(algorithm)[:20]!r}, which this provider does not use")
    claims = _signed_claims(token, keys, str(algorithm))
    moment = time.time() if now is None else now
    _check_parties(claims, expected)
    _check_times(claims, moment)
    if not _equal(claims.get("nonce"), expected.nonce):
        raise _unproven("its nonce is not the one of this login")
    if "at_hash" in claims and not _equal(claims["at_hash"], _at_hash(access_token or "", str(algorithm))):
        raise _unproven("its at_hash does not fit the access token")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or "\0" in subject:
        raise _unproven("its subject is missing or too long")
    return claims


def _header(token: str) -> dict[str, Any]:
    try:
        return dict(extract_compact(token.encode()).headers())
    except (JoseError, ValueError, TypeError) as error:
        raise _unproven("it is no signed token") from error


def _signed_claims(token: str, keys: Keys, algorithm: str) -> dict[str, Any]:
    for key in keys.matching(key_id_of(token), algorithm):
        try:
            return dict(jwt.decode(token, key, algorithms=[algorithm]).claims)
        except (JoseError, ValueError, TypeError):
            continue
    raise _unproven("no key of the provider made its signature")


def _check_parties(claims: dict[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise _unproven("another issuer made it")
    audience = claims.get("aud")
    audiences: list[Any] = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        raise _unproven("it is made for another client")
    presenter = claims.get("azp")
    if (presenter is not None or len(audiences) > 1) and presenter != expected.client_id:
        raise _unproven("it is made for another client besides")


def _check_times(claims: dict[str, Any], now: float) -> None:
    expires, issued, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not _is_number(expires) or not _is_number(issued) or not _is_number(begins):
        raise _unproven("it does not say from when until when it holds")
    if cast("float", expires) <= now - _LEEWAY_SECONDS:
        raise _unproven("it has expired")
    if max(cast("float", issued), cast("float", begins)) > now + _LEEWAY_SECONDS:
        raise _unproven("it is from the future; compare the clocks")


def _at_hash(access_token: str, algorithm: str) -> str:
    # Core 3.1.3.6: the left half of the hash that the signature uses; Ed25519 uses SHA-512.
    digest = hashlib.new(f"sha{algorithm[2:]}" if algorithm[2:].isdigit() else "sha512", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _unproven(why: str) -> IdentityUnprovenError:
    return IdentityUnprovenError(f"the identity provider's token proves nothing: {why}; log in again")
