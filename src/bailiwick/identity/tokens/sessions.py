"""Sessions: what a login begins, kept alive by refresh tokens or a browser's cookie, until it ends or is revoked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.model import Caller
from bailiwick.identity.people.permissions import GRANTS
from bailiwick.identity.tokens.refresh_tokens import IDLE_LIFETIME, LONGEST_LIFETIME, begin_family, exchange
from bailiwick.identity.tokens.session_tokens import (
    COOKIE_PREFIX,
    BrowserSession,
    Replay,
    SessionRecord,
    TokenPair,
    csrf_of,
    hash_of,
    may_be_token,
    new_token,
    not_good,
)
from bailiwick.identity.tokens.signing import ACCESS_LIFETIME, SigningKeys
from bailiwick.kernel.errors import InvalidInputError, NotFoundError, TokenRefusedError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

# How long ended sessions stay, for whoever looks into them.
_KEEP_ENDED = timedelta(days=30)
_COLUMNS = (
    "id, user_id, methods, address, user_agent, token_hash is not null as is_browser, created_at, last_used_at, "
    "expires_at"
)
_IS_GOOD = "revoked_at is null and expires_at > now()"


@dataclass(frozen=True, slots=True)
class _Login:
    user_id: str
    methods: tuple[str, ...]
    address: str | None
    user_agent: str | None


class Sessions:
    """The sessions of all users. Every beginning and every end is audited for the installation."""

    def __init__(self, database: Database, signing: SigningKeys, audit: AuditLog) -> None:
        self._database = database
        self.signing = signing
        self._audit = audit
        # Called after a replay was answered by revoking the session.
        self.on_replay: list[Callable[[Replay], Awaitable[None]]] = []

    async def begin(
        self, user_id: str, *, methods: Sequence[str], address: str | None, user_agent: str | None
    ) -> TokenPair:
        """Begin a program's session for a user who has proved who they are; audited as ``session.begun``.

        Raises:
            UnauthorizedError: the user is gone or disabled.
        """
        login = _Login(user_id, tuple(methods), address, user_agent)
        async with self._database.transaction(INSTALLATION) as connection:
            session_id, expires_at = await self._insert(connection, login, None)
            refresh = await begin_family(connection, session_id, expires_at)
        access = await self.signing.sign(user_id, session_id, methods)
        return TokenPair(access.text, refresh, access.expires_at, expires_at, session_id)

    async def begin_in_browser(
        self, user_id: str, *, methods: Sequence[str], address: str | None, user_agent: str | None
    ) -> BrowserSession:
        """Begin a browser's session likewise; `api.cookies.give_session` puts it into cookies."""
        token = new_token(COOKIE_PREFIX)
        login = _Login(user_id, tuple(methods), address, user_agent)
        async with self._database.transaction(INSTALLATION) as connection:
            session_id, expires_at = await self._insert(connection, login, hash_of(token))
        return BrowserSession(token, csrf_of(token), expires_at, session_id)

    async def refresh(self, refresh: str, *, address: str | None, user_agent: str | None) -> TokenPair:
        """Exchange a refresh token for the next pair; each works once.

        A token that was used before ends the whole session, because two have
        it and one of them is a thief. Only within ten seconds, and only if its
        successor was never used, it is answered with that successor again. Any
        number of exchanges at once count as one and its repetitions.

        Raises:
            TokenRefusedError: it is not known here, has expired, was revoked or was used before.
        """
        if not may_be_token(refresh):
            raise not_good()
        async with self._database.transaction(INSTALLATION) as connection:
            found = await exchange(connection, refresh)
            expires_at, was_ended = None, False
            if found is not None and found.successor is not None:
                expires_at = await _slide(connection, found.session_id, address, user_agent)
            elif found is not None and found.is_replay:
                # Whether its owner or a thief sends it is what nobody can know.
                actor = Actor("user", found.user_id, "", address)
                why = "a refresh token was used a second time"
                was_ended = await self._end(connection, found.session_id, actor, action="session.replayed", reason=why)
        # The end of a replayed session is committed by now, so the refusal cannot undo it.
        if found is None or not (found.is_replay or found.successor):
            raise not_good()
        if found.successor is None or expires_at is None:
            for listener in self.on_replay if was_ended else ():
                await listener(Replay(found.user_id, found.session_id, address))
            raise TokenRefusedError(
                "the refresh token was used before, so somebody else may have it; the session was ended, log in again"
            )
        access = await self.signing.sign(found.user_id, found.session_id, found.methods)
        return TokenPair(access.text, found.successor, access.expires_at, expires_at, found.session_id)

    async def authenticate_token(self, access: str) -> tuple[Caller, datetime]:
        """Return whom an access token stands for, and until when it is good.

        Raises:
            TokenExpiredError, TokenRefusedError: it is not good, or its session has ended.
        """
        claims = await self.signing.read(access)
        caller = await self._standing(claims.session_id, None, claims.token_id)
        if caller is None or caller.id != claims.user_id:
            raise TokenRefusedError("the session of this token has ended, or the token was revoked; log in again")
        return caller, claims.expires_at

    async def authenticate_cookie(self, token: str) -> Caller:
        """Return whom a browser's session token stands for.

        Raises:
            UnauthorizedError: nobody, or the session has ended.
        """
        caller = None
        if may_be_token(token):
            caller = await self._standing(None, hash_of(token), None)
        if caller is None:
            raise UnauthorizedError("the session has ended; log in again")
        return caller

    async def revoke(
        self, session_id: str, *, actor: Actor, user_id: str | None = None, reason: str | None = None
    ) -> None:
        """End a session; with ``user_id`` only if it is that user's.

        Raises:
            NotFoundError: there is none that is still good.
        """
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                f"select id from sessions where id = %s::uuid and (%s::uuid is null or user_id = %s) and {_IS_GOOD}",
                (parse_id(session_id), user_id, user_id),
            )
            if await cursor.fetchone() is None:
                raise NotFoundError(f"no session {session_id!r}")
            await self._end(connection, session_id, actor, action="session.revoked", reason=reason)

    async def revoke_all(
        self, user_id: str, *, actor: Actor, keep: str | None = None, reason: str | None = None
    ) -> int:
        """End every session of a user but ``keep``; return how many."""
        async with self._database.transaction(INSTALLATION) as connection:
            cursor = await connection.execute(
                f"select id from sessions where user_id = %s::uuid and id is distinct from %s::uuid and {_IS_GOOD} "
                "order by id",
                (parse_id(user_id), keep),
            )
            ended = await cursor.fetchall()
            for row in ended:
                await self._end(connection, row["id"], actor, action="session.revoked", reason=reason)
        return len(ended)

    async def revoke_token(self, token_id: str, *, actor: Actor) -> None:
        """Refuse the access token of that id from now on; its session goes on. Audited as ``token.revoked``.

        Raises:
            InvalidInputError: it is no id.
        """
        identifier = parse_id(token_id)
        if identifier is None:
            raise InvalidInputError(f"{token_id[:100]!r} is no token's id; give its claim jti")
        async with self._database.transaction(INSTALLATION) as connection:
            # Whatever it is, it has expired by then.
            await connection.execute(
                "insert into denied_tokens (token_id, expires_at) values (%s, now() + %s) on conflict do nothing",
                (identifier, ACCESS_LIFETIME),
            )
            act = Act(INSTALLATION, "token.revoked", actor, f"token:{identifier}")
            await self._audit.record(act, connection=connection)

    async def remove_ended(self, *, now: datetime | None = None) -> int:
        """Remove what ended 30 days ago and the denials of tokens that have expired; return how many sessions."""
        moment = now or datetime.now(UTC)
        await self._database.execute("delete from denied_tokens where expires_at < %s", (moment,))
        await self._database.execute("delete from refresh_tokens where expires_at < %s", (moment,))
        return await self._database.execute(
            "delete from sessions where coalesce(revoked_at, expires_at) < %s", (moment - _KEEP_ENDED,)
        )

    async def list(
        self, user_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of the sessions that are still good, of one user or of all, newest first."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from sessions where {_IS_GOOD} and (%(user)s::uuid is null or user_id = %(user)s) "
            "and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
            {"user": user_id, "after": after_cursor(cursor), "limit": limit + 1},
        )
        return page_of([SessionRecord(**row) for row in rows], limit)

    async def _insert(self, connection: Connection, login: "_Login", token_hash: bytes | None) -> tuple[str, datetime]:
        session_id = new_id()
        cursor = await connection.execute(
            "with owner as (select id, name from users where id = %(user)s::uuid and not is_disabled), "
            "begun as (insert into sessions (id, user_id, methods, address, user_agent, token_hash, expires_at) "
            "select %(id)s, id, %(methods)s, %(address)s, %(agent)s, %(hash)s, now() + %(idle)s from owner "
            "returning expires_at) select owner.name, begun.expires_at from owner, begun",
            {
                "id": session_id, "user": parse_id(login.user_id), "methods": list(login.methods),
                "address": login.address, "agent": _clipped(login.user_agent), "hash": token_hash,
                "idle": IDLE_LIFETIME,
            },
        )  # fmt: skip
        row = await cursor.fetchone()
        if row is None:
            raise UnauthorizedError("this account is disabled; ask an administrator of the installation")
        act = Act(
            INSTALLATION, "session.begun", Actor("user", login.user_id, row["name"], login.address),
            f"session:{session_id}",
            after={"user_id": login.user_id, "methods": list(login.methods), "is_browser": token_hash is not None},
        )  # fmt: skip
        await self._audit.record(act, connection=connection)
        return session_id, row["expires_at"]

    async def _end(
        self, connection: Connection, session_id: str, actor: Actor, *, action: str, reason: str | None
    ) -> bool:
        cursor = await connection.execute(
            "update sessions set revoked_at = now(), revoked_because = %s where id = %s and revoked_at is null "
            "returning user_id",
            (reason or action, session_id),
        )
        row = await cursor.fetchone()
        if row is None:
            return False
        after = {"user_id": row["user_id"]}
        act = Act(INSTALLATION, action, actor, f"session:{session_id}", after=after, reason=reason)
        await self._audit.record(act, connection=connection)
        return True

    async def _standing(self, session_id: str | None, cookie_hash: bytes | None, token_id: str | None) -> Caller | None:
        row = await self._database.fetch_one(
            "select * from session_standing(%s, %s, %s)", (session_id, cookie_hash, token_id)
        )
        if row is None:
            return None
        if row["is_stale"]:
            # Once a minute is exact enough, and keeps reads from writing. Only a browser's session lives by being used.
            await self._database.execute(
                "update sessions set last_used_at = now(), expires_at = case when token_hash is null then expires_at "
                "else least(now() + %s, created_at + %s) end where id = %s",
                (IDLE_LIFETIME, LONGEST_LIFETIME, row["session_id"]),
            )
        grants = {organization: GRANTS[role] for organization, role in row["roles"].items()}
        return Caller(
            "user", row["user_id"], row["name"], row["is_admin"], grants,
            session_id=row["session_id"], token_id=token_id,
        )  # fmt: skip


async def _slide(
    connection: Connection, session_id: str, address: str | None, user_agent: str | None
) -> datetime | None:
    cursor = await connection.execute(
        "update sessions set last_used_at = now(), address = coalesce(%s, address), "
        "user_agent = coalesce(%s, user_agent), expires_at = least(now() + %s, created_at + %s) "
        "where id = %s returning expires_at",
        (address, _clipped(user_agent), IDLE_LIFETIME, LONGEST_LIFETIME, session_id),
    )
    row = await cursor.fetchone()
    return None if row is None else row["expires_at"]


def _clipped(user_agent: str | None) -> str | None:
    return None if user_agent is None else user_agent[:500]


__all__ = ["BrowserSession", "Replay", "SessionRecord", "Sessions", "TokenPair"]
