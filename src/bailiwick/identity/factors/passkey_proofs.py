"""The cryptography of passkeys. Slow to import, so only `passkeys` does, at the first ceremony."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from bailiwick.identity.factors.relying_party import RelyingParty
from bailiwick.storage import Row

_EVIDENCE = ("clientDataJSON", "authenticatorData", "signature", "userHandle")
TRANSPORTS = frozenset(transport.value for transport in AuthenticatorTransport)


class UnprovenError(Exception):
    """What a browser sent proves nothing; the text says why, for those who may know."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A passkey as its authenticator made it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    is_backed_up: bool
    transports: list[str]


@dataclass(frozen=True, slots=True)
class Use:
    """A proof that a passkey is at hand."""

    sign_count: int
    is_backed_up: bool


def registration_options(
    party: RelyingParty, *, user_id: str, email: str, name: str, known: Sequence[Row]
) -> tuple[dict[str, Any], bytes]:
    """Return the options for making a passkey, and the challenge in them."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user_id.encode(),
        user_name=email,
        user_display_name=name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            # Kept by the authenticator where it can, so that a login needs no user name.
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_descriptors(known),
    )
    return options_to_json_dict(options), options.challenge


def verify_registration(party: RelyingParty, credential: Mapping[str, Any], challenge: bytes) -> NewCredential:
    """Return the passkey in what a browser sent, or raise UnprovenError."""
    try:
        verified = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
        )
    except Exception as error:
        # Whatever a stranger's bytes make the parsers trip over proves nothing.
        raise UnprovenError(str(error)[:200] or type(error).__name__) from error
    response: Mapping[str, Any] = credential["response"]
    named = response.get("transports")
    return NewCredential(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        verified.credential_backed_up,
        sorted(TRANSPORTS & {one for one in named if isinstance(one, str)}) if isinstance(named, list) else [],
    )


def use_options(
    party: RelyingParty, *, known: Sequence[Row], is_alone: bool, challenge: bytes | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the options for using a passkey, and the challenge in them: a random one unless it is given.

    ``is_alone``: there is no other factor, so its holder must be verified too.
    """
    wanted = UserVerificationRequirement.REQUIRED if is_alone else UserVerificationRequirement.PREFERRED
    options = generate_authentication_options(
        rp_id=party.id, challenge=challenge, allow_credentials=_descriptors(known), user_verification=wanted
    )
    return options_to_json_dict(options), options.challenge


def credential_id_of(credential: Mapping[str, Any]) -> bytes | None:
    """Return which passkey a browser says it used, or None where it says nothing readable."""
    return _decoded(credential.get("rawId"))


def verify_use(
    party: RelyingParty, credential: Mapping[str, Any], challenge: bytes, stored: Row, *, is_alone: bool
) -> Use:
    """Check a browser's answer against a stored passkey, or raise UnprovenError."""
    try:
        verified = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=stored["public_key"],
            credential_current_sign_count=stored["sign_count"],
            require_user_verification=is_alone,
        )
    except Exception as error:
        raise UnprovenError(str(error)[:200] or type(error).__name__) from error
    # Web Authentication 7.2, step 6: where the authenticator chose the user, it must name whose passkey it is.
    handle = credential["response"].get("userHandle")
    if (handle is not None or is_alone) and _decoded(handle) != str(stored["user_id"]).encode():
        raise UnprovenError("the authenticator names another user")
    return Use(verified.new_sign_count, verified.credential_backed_up)


def evidence_of(credential: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a browser's answer proves it, and nothing else that came with it."""
    response = credential.get("response")
    kept = response if isinstance(response, Mapping) else {}
    return {
        **{name: credential.get(name) for name in ("id", "rawId", "type")},
        "response": {name: kept.get(name) for name in _EVIDENCE},
    }


def verify_signature(signature: Mapping[str, Any], *, sign_count: int) -> Use:
    """Check a signature over a statement by what is kept with it, or raise UnprovenError."""
    try:
        party = RelyingParty(signature["rp_id"], signature["origin"])
        stored: Row = {
            "public_key": bytes.fromhex(signature["public_key"]), "sign_count": sign_count,
            "user_id": signature["user"],
        }  # fmt: skip
        challenge = hashlib.sha256(signature["statement"].encode()).digest()
        credential = signature["credential"]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnprovenError(f"{type(error).__name__}: {error}") from error
    return verify_use(party, credential, challenge, stored, is_alone=False)


def _descriptors(rows: Sequence[Row]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=row["credential_id"], transports=[AuthenticatorTransport(name) for name in row["transports"]]
        )
        for row in rows
    ]


def _decoded(text: object) -> bytes | None:
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        return base64url_to_bytes(text)
    except ValueError:
        return None
