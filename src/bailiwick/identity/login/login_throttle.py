"""Slows down who guesses passwords, by the address that is tried: an account is never locked for good."""

import hashlib

from bailiwick.kernel.errors import RateLimitedError
from bailiwick.storage import Database


class TooManyAttemptsError(RateLimitedError):
    """Too many failed logins for this address; wait ``retry_after_seconds``."""

    code = "login.too_many_attempts"

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(
            f"too many failed attempts; try again in {max(1, round(retry_after_seconds))} s, or ask an administrator "
            "for a link to set a new password",
            retry_after_seconds=retry_after_seconds,
        )


class LoginThrottle:
    """Counts failed logins for each email address, an account's or nobody's, for all processes together.

    Four failures cost nothing; each further one doubles the wait for the next
    attempt, from 1 s to 15 min. A day without a failure, or a success, clears
    the count. At that pace a day holds under 100 attempts, which NIST
    SP 800-63B-4, section 3.2.2, allows in all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, email: str) -> None:
        """Count an attempt before its password is looked at.

        Raises:
            TooManyAttemptsError: it comes too early; it was not counted and must not be tried.
        """
        row = await self._database.fetch_one("select login_attempt(%s) as seconds", (_hash(email),))
        assert row is not None
        if row["seconds"] > 0:
            raise TooManyAttemptsError(row["seconds"])

    async def clear(self, email: str) -> None:
        """Forget the failures of an address, and those of any that had none for a day."""
        await self._database.execute(
            "delete from login_failures where email_hash = %s or last_failed_at < now() - interval '1 day'",
            (_hash(email),),
        )


def _hash(email: str) -> bytes:
    # Surrogates cannot be sent to the database; here they only have to be somebody's.
    return hashlib.sha256(email.strip().lower().encode("utf-8", "surrogatepass")).digest()
