"""Recovery codes: ten second factors on paper, for the day the telephone is gone. Each opens once."""

import hashlib
import re
import secrets

from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

CODES = 10
# Without letters and digits that are mistaken for one another.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS = 4
_GROUP_CHARACTERS = 4


class RecoveryCodes:
    """The recovery codes of all users. A code carries 79 random bits, so a plain fast hash is enough to store it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, user_id: str, connection: Connection) -> list[str]:
        """Make ten codes in the place of all earlier ones and return them; they cannot be shown again."""
        codes = [_new_code() for _ in range(CODES)]
        await connection.execute("delete from recovery_codes where user_id = %s", (user_id,))
        await connection.cursor().executemany(
            "insert into recovery_codes (user_id, code_hash) values (%s, %s)",
            [(user_id, _hash(code)) for code in codes],
        )
        return codes

    async def spend(self, user_id: str, code: str) -> bool:
        """Use a code up; tell whether it was one of the user's that nobody had used."""
        spent = await self._database.execute(
            "update recovery_codes set used_at = now() where user_id = %s and code_hash = %s and used_at is null",
            (user_id, _hash(code)),
        )
        return spent == 1

    async def count_left(self, user_id: str) -> int:
        """Return how many codes are left."""
        row = await self._database.fetch_one(
            "select count(*) as n from recovery_codes where user_id = %s and used_at is null", (user_id,)
        )
        return 0 if row is None else int(row["n"])


def _new_code() -> str:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARACTERS)) for _ in range(_GROUPS))
    return "-".join(groups)


def _hash(code: str) -> bytes:
    # Hyphens, spaces and capitals are how people copy from paper.
    plain = re.sub(r"[\s-]", "", code[:100]).lower()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()
