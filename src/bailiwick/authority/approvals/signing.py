"""Signatures of passkeys over what people say to approvals: made in the browser, kept, verified offline later."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from bailiwick.audit.canonical import canonical, digest
from bailiwick.authority.approvals.model import AnswerRecord, ApprovalRecord
from bailiwick.identity.factors.passkeys import PasskeyOptions, verify_signature
from bailiwick.kernel.errors import UnauthorizedError

SignedDecision = Literal["approve", "reject", "edit", "remember"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: a decision about an approval as it was seen; ``details`` is everything else that was said."""

    organization_id: str
    approval_id: str
    digest: str
    decision: SignedDecision
    details: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return it as it is signed, but for the nonce."""
        return {
            "approval": self.approval_id,
            "decision": self.decision,
            "details": None if self.details is None else digest(canonical(dict(self.details))),
            "digest": self.digest,
            "organization": self.organization_id,
        }


@dataclass(frozen=True, slots=True)
class Signature:
    """What a browser gives back: the ceremony it was begun with, and what its authenticator answered."""

    ceremony: str
    credential: Mapping[str, Any]


class Passkeys(Protocol):
    """Who has statements signed by people's passkeys."""

    async def begin_signature(self, user_id: str, statement: bytes) -> PasskeyOptions:
        """Return what a browser needs."""
        ...

    async def finish_signature(self, user_id: str, ceremony: str, credential: Mapping[str, Any]) -> dict[str, Any]:
        """Return the signature with all that verifies it later."""
        ...


class Signing:
    """Has people sign what they say."""

    def __init__(self, passkeys: Passkeys) -> None:
        self._passkeys = passkeys

    async def begin(self, user_id: str, statement: Statement) -> PasskeyOptions:
        """Return what a browser needs to sign a statement, within five minutes.

        Raises:
            ConflictError: the account has no passkey.
        """
        # The nonce keeps one signature from standing for the same words said again.
        document = statement.document() | {"nonce": secrets.token_urlsafe(16)}
        return await self._passkeys.begin_signature(user_id, canonical(document))

    async def finish(self, user_id: str, statement: Statement, signature: Signature) -> dict[str, Any]:
        """Return a signature as it is kept.

        Raises:
            UnauthorizedError: it proves nothing, or something else was signed than is said.
        """
        proof = await self._passkeys.finish_signature(user_id, signature.ceremony, signature.credential)
        _check(proof["statement"], statement)
        return proof


async def verify_answer(approval: ApprovalRecord, answer: AnswerRecord) -> bool:
    """Tell whether an answer is signed; needs nothing but the records.

    Raises:
        UnauthorizedError: it is signed wrongly, by somebody else, or over something else.
    """
    if answer.proof is None:
        return False
    words = await verify_signature(answer.proof)
    if f"user:{answer.proof['user']}" != answer.answered_by:
        raise UnauthorizedError(f"the signature is not that of {answer.answered_by}")
    behalf = answer.voice.removeprefix("user:") if answer.delegation_id is not None else None
    edited = approval.edited if answer.decision == "edit" else None
    said = Statement(
        approval.organization_id, approval.id, approval.digest, answer.decision, details_of(behalf, edited)
    )
    _check(words, said)
    return True


def details_of(on_behalf_of: str | None, arguments: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what is said beside the decision: for whom, and the arguments in the place of those asked about."""
    if on_behalf_of is None and arguments is None:
        return None
    return {"arguments": None if arguments is None else dict(arguments), "on_behalf_of": on_behalf_of}


def _check(words: str, statement: Statement) -> None:
    try:
        document = orjson.loads(words)
        document.pop("nonce")
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
        raise UnauthorizedError("what was signed is no statement about an approval") from error
    if document != statement.document():
        raise UnauthorizedError("something else was signed than is said now; begin again")
