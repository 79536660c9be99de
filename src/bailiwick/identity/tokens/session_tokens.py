"""What a login hands out: tokens, the records of sessions, and how tokens are made and stored."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from bailiwick.kernel.errors import TokenRefusedError

REFRESH_PREFIX = "bwr_"
COOKIE_PREFIX = "bws_"
_SECRET_BYTES = 32
_MAX_LENGTH = 100


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a program gets at login: ``access`` opens doors until ``expires_at``, ``refresh`` gets the next pair.

    ``refresh`` works once and until ``refresh_expires_at``.
    """

    access: str
    refresh: str
    expires_at: datetime
    refresh_expires_at: datetime
    session_id: str


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """What a browser gets at login: ``token`` for the HttpOnly cookie, ``csrf`` for the readable one."""

    token: str
    csrf: str
    expires_at: datetime
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One login that is still good. ``methods`` are RFC 8176 names: pwd, otp, hwk, fed."""

    id: str
    user_id: str
    methods: list[str]
    address: str | None
    user_agent: str | None
    is_browser: bool
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Replay:
    """A refresh token that was used a second time: somebody besides its owner has it."""

    user_id: str
    session_id: str
    address: str | None


def new_token(prefix: str) -> str:
    """Return a new token of 256 random bits behind a prefix that tells people what it is."""
    return prefix + secrets.token_urlsafe(_SECRET_BYTES)


def hash_of(token: str) -> bytes:
    """Return what of a token is stored; so many random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def may_be_token(text: str) -> bool:
    """Tell whether a text is short and plain enough to be looked for."""
    return len(text) <= _MAX_LENGTH and text.isascii()


def csrf_of(token: str) -> str:
    """Return what a page must send in ``X-CSRF-Token`` beside a session cookie; it tells nothing of the cookie."""
    return hmac.new(token.encode(), b"bailiwick csrf", hashlib.sha256).hexdigest()


def veiled(successor: str, token: str) -> bytes:
    """Return a refresh token so that only who has the one before it can read it.

    The stored bytes alone give neither away.
    """
    text = successor.removeprefix(REFRESH_PREFIX).encode()
    return bytes(one ^ other for one, other in zip(text, _pad(token, len(text)), strict=True))


def unveiled(stored: bytes, token: str) -> str:
    """Return the refresh token that was veiled with the one before it."""
    text = bytes(one ^ other for one, other in zip(stored, _pad(token, len(stored)), strict=True))
    return REFRESH_PREFIX + text.decode("ascii")


def not_good() -> TokenRefusedError:
    """Return the error for a refresh token that opens nothing, whatever the cause."""
    return TokenRefusedError("the refresh token is not known here, was revoked or has expired; log in again")


def _pad(token: str, length: int) -> bytes:
    # A one-time pad: used for one text only, of at most 64 bytes.
    return hmac.new(token.encode(), b"bailiwick successor", hashlib.sha512).digest()[:length]
