"""Links that work once and for a day: to make the first administrator, to set a forgotten password.

A link's token carries 256 random bits; only its SHA-256 hash is stored.
"""

import hashlib
import secrets
from typing import Literal

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

LinkPurpose = Literal["owner", "password"]

LINK_HOURS = 24
# What our tokens have; anything longer was never one.
MAX_TOKEN_CHARACTERS = 200


class LinkRefusedError(InvalidInputError):
    """The link was used, replaced or revoked, its time is over, or it never was one."""

    code = "link.refused"


class OneTimeLinks:
    """The links of this installation. A new one replaces the one before it for the same purpose and user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, purpose: LinkPurpose, user_id: str | None, *, connection: Connection) -> str:
        """Return a new token, in the caller's transaction; it cannot be shown again."""
        await connection.execute(
            "delete from one_time_links where purpose = %s and user_id is not distinct from %s::uuid",
            (purpose, user_id),
        )
        token = new_token()
        await connection.execute(
            "insert into one_time_links (id, purpose, user_id, token_hash, expires_at) "
            "values (%s, %s, %s, %s, now() + %s * interval '1 hour')",
            (new_id(), purpose, user_id, hash_of_token(token), LINK_HOURS),
        )
        return token

    async def find(self, purpose: LinkPurpose, token: str) -> str | None:
        """Return whom a link that still works is for: a user's id, None for the first administrator.

        Raises:
            LinkRefusedError: it does not work.
        """
        row = await self._database.fetch_one(
            "select user_id from one_time_links where token_hash = %s and purpose = %s and used_at is null "
            "and expires_at > now()",
            (hash_of_token(token), purpose),
        )
        if row is None:
            raise LinkRefusedError("this link was used or replaced, or its 24 hours are over; ask for a new one")
        return row["user_id"]

    async def use(self, purpose: LinkPurpose, token: str, *, connection: Connection) -> None:
        """Use a link up, in the transaction that does what it is for; of two at once only one can.

        Raises:
            LinkRefusedError: it does not work, or no longer.
        """
        cursor = await connection.execute(
            "update one_time_links set used_at = now() where token_hash = %s and purpose = %s and used_at is null "
            "and expires_at > now()",
            (hash_of_token(token), purpose),
        )
        if not cursor.rowcount:
            raise LinkRefusedError("this link was used or replaced, or its 24 hours are over; ask for a new one")


def new_token() -> str:
    """Return the secret part of a link."""
    return secrets.token_urlsafe(32)


def hash_of_token(token: str) -> bytes:
    """Return what is stored of a token. It is looked up by this, so timing tells nothing about stored ones."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
