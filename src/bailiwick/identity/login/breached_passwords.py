"""Looks passwords up among those known from breaches, in a file on this machine: nothing leaves it.

The file is Pwned Passwords as its publisher's downloader writes it: one line
``SHA1:COUNT`` a password, 40 upper-case hexadecimal digits, sorted.
"""

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from bailiwick.kernel.errors import CannotDetermineError

_LINE = re.compile(rb"([0-9A-Fa-f]{40}):(\d+)\s*")


class BreachedPasswords:
    """A sorted file of hashes; a look-up reads some forty lines of however many there are."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def count(self, password: str) -> int:
        """Return how often a password was seen in breaches; blocks on the disk.

        Raises:
            CannotDetermineError: the file cannot be read or has another format.
        """
        # SHA-1 is the file's choice; it only has to find a line.
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        try:
            with self._file.open("rb") as lines:
                return self._search(lines, digest)
        except OSError as error:
            raise CannotDetermineError(
                f"the file of breached passwords at {self._file} (BAILIWICK_BREACHED_PASSWORDS_FILE): {error.strerror},"
            ) from error

    def _search(self, lines: BinaryIO, digest: bytes) -> int:
        # The wanted line, if there is one, begins at `low` or behind it, and before `high`.
        low, high = 0, lines.seek(0, 2)
        while low < high:
            middle = (low + high) // 2
            # To the first line that begins at the middle or behind it.
            lines.seek(max(middle - 1, 0))
            if middle > 0:
                lines.readline()
            if lines.tell() >= high:
                high = middle
                continue
            found, count = self._parse(lines.readline())
            if found == digest:
                return count
            if found < digest:
                low = lines.tell()
            else:
                high = middle
        return 0

    def _parse(self, line: bytes) -> tuple[bytes, int]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise CannotDetermineError(
                f"lines 'SHA1:COUNT' in the file of breached passwords at {self._file} "
                "(BAILIWICK_BREACHED_PASSWORDS_FILE)"
            )
        return match[1].upper(), int(match[2])
