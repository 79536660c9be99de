"""What a login or an enrolment remembers between two requests: used once, for one purpose, and soon."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import UnauthorizedError
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

_MAX_TOKEN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What was begun: for whom, if that is known, and what the second request needs of the first."""

    user_id: str | None
    document: dict[str, Any]


class Ceremonies:
    """The ceremonies under way. Whoever holds a ceremony's token may go on with it; only its hash is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        purpose: str,
        document: Mapping[str, Any],
        *,
        user_id: str | None = None,
        lifetime_seconds: int = 300,
        tries: int = 1,
    ) -> str:
        """Remember a ceremony and return its token, 256 random bits as URL-safe text.

        What has lapsed is forgotten by the way, so nothing has to sweep.
        """
        token = secrets.token_urlsafe(32)
        await self._database.execute("delete from login_ceremonies where expires_at < now()")
        await self._database.execute(
            "insert into login_ceremonies (token_hash, purpose, user_id, document, tries_left, expires_at) "
            "values (%s, %s, %s, %s::jsonb, %s, now() + make_interval(secs => %s))",
            (
                _hash(token), purpose, user_id, encode(document, what="ceremony").decode(), tries, lifetime_seconds,
            ),
        )  # fmt: skip
        return token

    async def try_once(self, token: str, purpose: str) -> Ceremony:
        """Spend one try of a ceremony that stays until it is finished.

        Raises:
            UnauthorizedError: there is none of that purpose, it has lapsed, or its tries are used up.
        """
        row = await self._database.fetch_one(
            "update login_ceremonies set tries_left = tries_left - 1 where token_hash = %s and purpose = %s "
            "and tries_left > 0 and expires_at > now() returning user_id, document",
            (_hash(token), purpose),
        )
        if row is None:
            raise _over()
        return Ceremony(**row)

    async def finish(self, token: str, purpose: str, *, connection: Connection | None = None) -> Ceremony:
        """Take a ceremony away and return it: of several that try at once, one gets it.

        Raises:
            UnauthorizedError: there is none of that purpose, or it has lapsed.
        """
        sql = (
            "delete from login_ceremonies where token_hash = %s and purpose = %s and expires_at > now() "
            "returning user_id, document"
        )
        values = (_hash(token), purpose)
        if connection is None:
            row = await self._database.fetch_one(sql, values)
        else:
            row = await (await connection.execute(sql, values)).fetchone()
        if row is None:
            raise _over()
        return Ceremony(**row)


def _over() -> UnauthorizedError:
    return UnauthorizedError("this step of the login is over: it was used, has lapsed or was never begun; begin again")


def _hash(token: str) -> bytes:
    # Anything longer cannot be one of ours, and need not be hashed whole.
    return hashlib.sha256(token[:_MAX_TOKEN_CHARACTERS].encode("utf-8", "surrogatepass")).digest()
