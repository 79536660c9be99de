"""Password hashes: argon2id, computed beside the event loop and never by too many at once."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from bailiwick.kernel.errors import UnavailableError
from bailiwick.kernel.loading import load

Result = TypeVar("Result")

# RFC 9106, section 4, second recommended option: 3 passes over 64 MiB in 4 lanes, salt of 16 and tag of 32 bytes.
PASSES = 3
LANES = 4
DEFAULT_MEMORY_MIB = 64
# The least that the OWASP Password Storage Cheat Sheet accepts for 3 passes.
LEAST_MEMORY_MIB = 12
# Each holds its memory and LANES threads for a fraction of a second.
_AT_ONCE = 2
_MAX_WAITING = 64


class PasswordHashing:
    """Makes and verifies argon2id hashes with ``memory_mib`` of memory each, two at once in this process.

    At most 64 more wait their turn; whoever comes then is told to try again, so
    that a flood of logins takes neither the memory nor the threads of the rest.
    """

    def __init__(self, memory_mib: int = DEFAULT_MEMORY_MIB) -> None:
        self._memory_kib = memory_mib * 1024
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash of a password in the PHC string format.

        Raises:
            UnavailableError: too many passwords are being worked on.
        """
        return await self._in_turn(lambda: self._hasher().hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether a password is that of a hash. Without a hash the same work is done for nobody.

        So the time it takes does not tell whether there was one.

        Raises:
            UnavailableError: too many passwords are being worked on.
        """
        return await self._in_turn(lambda: self._verify(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._hasher().check_needs_rehash(stored)

    def _verify(self, stored: str | None, password: str) -> bool:
        hasher = self._hasher()
        if self._nobodys is None:
            self._nobodys = hasher.hash(secrets.token_bytes(32))
        try:
            hasher.verify(stored or self._nobodys, _bytes(password))
        except load("argon2.exceptions").VerifyMismatchError:
            return False
        return stored is not None

    def _hasher(self) -> Any:
        # Loaded at the first use: the library takes a tenth of the platform's start.
        return load("argon2").PasswordHasher(
            time_cost=PASSES, memory_cost=self._memory_kib, parallelism=LANES, hash_len=32, salt_len=16
        )

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= _MAX_WAITING:
            raise UnavailableError("too many people are logging in at this moment; try again in a few seconds")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
