"""Keys that open the doors. Only a hash is stored; the key itself is shown once."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from bailiwick.identity.model import Caller
from bailiwick.kernel.errors import NotFoundError, UnauthorizedError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of

_PREFIX = "bw_"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key; ``prefix`` are its first characters, ``organization`` None opens everything."""

    id: str
    name: str
    prefix: str
    organization: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class Keys:
    """API keys. They carry 256 random bits, so a plain fast hash is enough to store them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, name: str, *, organization_id: str | None = None) -> str:
        """Make a key and return it; it cannot be shown again.

        Without an organization it opens the whole installation.
        """
        key = _PREFIX + secrets.token_urlsafe(32)
        await self._database.execute(
            "insert into api_keys (id, organization_id, name, prefix, key_hash) values (%s, %s, %s, %s, %s)",
            (new_id(), organization_id, name, key[: len(_PREFIX) + 6], _hash(key)),
        )
        return key

    async def authenticate(self, key: str) -> Caller:
        """Return who holds a key.

        Raises:
            UnauthorizedError: nobody does, or it was revoked or has expired.
        """
        # Looked up by its hash, so timing tells nothing about stored keys.
        row = await self._database.fetch_one(
            "select id, name, organization_id, coalesce(last_used_at < now() - interval '1 minute', true) as is_stale "
            "from api_keys where key_hash = %s and revoked_at is null and (expires_at is null or expires_at > now())",
            (_hash(key),),
        )
        if row is None:
            raise UnauthorizedError("the key is not known here, was revoked or has expired")
        if row["is_stale"]:
            # Once a minute is exact enough, and keeps reads from writing.
            await self._database.execute("update api_keys set last_used_at = now() where id = %s", (row["id"],))
        return Caller(row["id"], row["name"], row["organization_id"])

    async def has_admin(self) -> bool:
        """Tell whether an administrator's key exists."""
        row = await self._database.fetch_one(
            "select 1 as one from api_keys where organization_id is null and revoked_at is null limit 1"
        )
        return row is not None

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[KeyRecord]:
        """Return a page of the keys that are not revoked, newest first; never a key itself."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            "select k.id, k.name, k.prefix, o.slug as organization, k.created_at, k.last_used_at, k.expires_at "
            "from api_keys k left join organizations o on o.id = k.organization_id where k.revoked_at is null "
            "and (%(after)s::uuid is null or k.id < %(after)s) order by k.id desc limit %(limit)s",
            {"after": after_cursor(cursor), "limit": limit + 1},
        )
        found = [KeyRecord(**row) for row in rows[:limit]]
        return Page(found, cursor_of(found[-1].id) if len(rows) > limit else None)

    async def revoke(self, name: str) -> None:
        """Revoke the keys of that name, or raise NotFoundError."""
        revoked = await self._database.execute(
            "update api_keys set revoked_at = now() where name = %s and revoked_at is null", (name,)
        )
        if not revoked:
            raise NotFoundError(f"no key named {name!r}")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
