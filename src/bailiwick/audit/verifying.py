"""Verifies exports with nothing but the file: no database, no network, no trust in whoever hands it over."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from bailiwick.audit.canonical import canonical
from bailiwick.audit.checking import BrokenChainError, ChainCheck, check_keys, read_key
from bailiwick.audit.ed25519 import PublicKey, from_text
from bailiwick.audit.lines import FORMAT
from bailiwick.kernel.errors import InvalidInputError, NotFoundError

# An act is at most 256 KiB; with escapes and the frame around it a line stays below this.
_MAX_LINE_BYTES = 4 * 1024 * 1024
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. ``error`` is None where all is as it was written.

    ``covered_seq`` is the last entry under a signed root, signed ``covered_at``;
    ``uncovered_since`` when the first entry behind it was recorded. ``is_pinned``
    tells whether a key was given to check against, and ``kids`` who signed.
    """

    organization_id: str | None
    organization: str | None
    entries: int
    roots: int
    covered_seq: int
    covered_at: datetime | None
    uncovered_since: datetime | None
    kids: list[str]
    is_pinned: bool
    error: str | None
    line: int | None = None

    @property
    def is_intact(self) -> bool:
        """Tell whether nothing was found."""
        return self.error is None


def verify_file(path: Path, *, key: bytes | None = None, progress: Progress | None = None) -> Verdict:
    """Verify an export, plain or gzip, line by line; memory does not grow with it.

    ``key`` is a public key known from elsewhere; without one the file's own
    keys are believed. ``progress`` is told the bytes of the file read so far.

    Raises:
        NotFoundError, InvalidInputError: the file is not there or cannot be read.
    """
    check = ExportCheck(key)
    try:
        with path.open("rb") as raw:
            for line in _lines(raw):
                if not check.line(line):
                    break
                if progress is not None and check.lines % 1000 == 0:
                    progress(raw.tell())
            else:
                check.finish()
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile):
        check.cut("the compressed file is cut or damaged")
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror or error}") from error
    return check.verdict()


def _lines(raw: BinaryIO) -> Iterator[bytes]:
    is_packed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    source: Any = gzip.GzipFile(fileobj=raw) if is_packed else raw
    while line := source.readline(_MAX_LINE_BYTES):
        yield line


class ExportCheck:
    """Takes an export's lines in order, stops at the first that is wrong, and gives the verdict."""

    def __init__(self, key: bytes | None = None) -> None:
        self.lines = 0
        self._trusted = key
        self._digest = hashlib.sha256()
        self._chain: ChainCheck | None = None
        self._keys: list[PublicKey] = []
        self._organization: str | None = None
        self._has_ended = False
        self._error: str | None = None

    def line(self, line: bytes) -> bool:
        """Check one line with its line end; False once something is wrong."""
        self.lines += 1
        try:
            self._check(line)
        except BrokenChainError as error:
            self._error = str(error)
        except _MALFORMED:
            # What stands there is not even the form of a line; where it is counts.
            self._error = f"{self._place()}: the line is not as an export writes it"
        return self._error is None

    def finish(self) -> None:
        """Say that no line follows."""
        if self._error is None and not self._has_ended:
            self.cut("the file is cut: its end line is missing")

    def cut(self, what: str) -> None:
        """Note that the file ends too early."""
        if self._error is None:
            self._error = f"{what}; the first entry that is not there is {self._place()}{self._uncovered()}"

    def verdict(self) -> Verdict:
        """Return what was found so far."""
        chain = self._chain
        return Verdict(
            organization_id=None if chain is None else chain.organization_id,
            organization=self._organization,
            entries=0 if chain is None else chain.seq,
            roots=0 if chain is None else chain.roots,
            covered_seq=0 if chain is None else chain.covered_seq,
            covered_at=None if chain is None else chain.covered_at,
            uncovered_since=None if chain is None else chain.uncovered_since,
            kids=[key.kid for key in self._keys],
            is_pinned=self._trusted is not None,
            error=self._error,
            line=None if self._error is None else self.lines,
        )

    def _place(self) -> str:
        return f"entry {1 if self._chain is None else self._chain.seq + 1}"

    def _uncovered(self) -> str:
        chain = self._chain
        if chain is None or chain.uncovered_since is None:
            return ""
        since = f"{chain.uncovered_since:%Y-%m-%d %H:%M:%S} UTC"
        return f"; entries {chain.covered_seq + 1} to {chain.seq} are not covered by a root since {since}"

    def _check(self, line: bytes) -> None:
        if self._has_ended:
            raise BrokenChainError("something follows the end line")
        document = orjson.loads(line)
        if canonical(document) + b"\n" != line:
            raise BrokenChainError(f"{self._place()}: the line is not as it was written (spaces, order, or cut)")
        content = canonical(document["content"])
        kind = document["type"]
        if (kind == "header") != (self._chain is None):
            raise BrokenChainError("the file does not begin with its one header")
        if kind == "end":
            self._end(document, content)
            return
        self._digest.update(line)
        if kind == "header":
            self._header(document["content"])
            return
        assert self._chain is not None
        if kind == "entry":
            self._chain.entry(content, document["hash"])
        elif kind == "root":
            self._chain.root(content, document["hash"], from_text(document["signature"]))
        else:
            raise BrokenChainError(f"{self._place()}: a line of unknown type {kind!r}")

    def _header(self, content: dict[str, Any]) -> None:
        if content["format"] != FORMAT:
            raise BrokenChainError(f"the format is {content['format']!r}; this program reads {FORMAT}")
        self._keys = [read_key(key) for key in content["keys"]]
        check_keys(self._keys, self._trusted)
        self._organization = str(content["organization"])
        self._chain = ChainCheck(str(content["organization_id"]), self._keys)

    def _end(self, document: dict[str, Any], content: bytes) -> None:
        assert self._chain is not None
        end = document["content"]
        key = next((key for key in self._keys if key.kid == end["kid"]), None)
        if key is None or not key.verifies(from_text(document["signature"]), content):
            raise BrokenChainError("the end line is not signed by a key of this installation")
        if end["organization_id"] != self._chain.organization_id:
            raise BrokenChainError("the end line belongs to another export")
        if end["entries"] != self._chain.seq:
            raise BrokenChainError(
                f"{self._place()}: the export held {end['entries']} entries, here are {self._chain.seq}"
            )
        if end["roots"] != self._chain.roots:
            raise BrokenChainError(f"the export held {end['roots']} roots, here are {self._chain.roots}")
        if end["digest"] != self._digest.hexdigest():
            raise BrokenChainError("the header, or something between the entries, was changed after the export")
        self._has_ended = True


def verify_lines(lines: Iterable[bytes], *, key: bytes | None = None) -> Verdict:
    """Verify an export that is in memory already."""
    check = ExportCheck(key)
    for line in lines:
        if not check.line(line):
            break
    else:
        check.finish()
    return check.verdict()
