"""Sessions: what a login begins, kept alive by refresh tokens or a browser's cookie, until it ends or is revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bailiwick.audit import Actor
from bailiwick.storage.pages import Page


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


class Sessions:
    """The sessions of all users."""

    async def begin(
        self, user_id: str, *, methods: Sequence[str], address: str | None, user_agent: str | None
    ) -> TokenPair:
        """Begin a program's session for a user who has proved who they are; audited as ``session.begun``."""
        raise NotImplementedError

    async def begin_in_browser(
        self, user_id: str, *, methods: Sequence[str], address: str | None, user_agent: str | None
    ) -> BrowserSession:
        """Begin a browser's session likewise; `api.cookies.give_session` puts it into cookies."""
        raise NotImplementedError

    async def refresh(self, refresh: str, *, address: str | None, user_agent: str | None) -> TokenPair:
        """Exchange a refresh token for the next pair."""
        raise NotImplementedError

    async def list(
        self, user_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of the sessions that are still good, of one user or of all, newest first."""
        raise NotImplementedError

    async def revoke(
        self, session_id: str, *, actor: Actor, user_id: str | None = None, reason: str | None = None
    ) -> None:
        """End a session; with ``user_id`` only if it is that user's."""
        raise NotImplementedError

    async def revoke_all(
        self, user_id: str, *, actor: Actor, keep: str | None = None, reason: str | None = None
    ) -> int:
        """End every session of a user but ``keep``; return how many."""
        raise NotImplementedError
