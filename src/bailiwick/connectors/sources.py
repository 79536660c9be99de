"""Bytes from a file or stream: unpacked when they are gzip, refused when they are something else."""

import os
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bailiwick.kernel.errors import InvalidInputError, NotFoundError

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024

PathOrStream = str | os.PathLike[str] | BinaryIO

_GZIP = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_REMEDY = "convert it first: iconv -f UTF-16 -t UTF-8 IN > OUT"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe", f"UTF-16 text; {_UTF16_REMEDY}"),
    (b"\xfe\xff", f"UTF-16 text; {_UTF16_REMEDY}"),
    (b"PK\x03\x04", "a zip archive or an Office document; unpack it, or save the sheet as CSV"),
    (b"BZh", "a bzip2 file; unpack it first (only gzip is read directly)"),
    (b"\xfd7zXZ", "an xz file; unpack it first (only gzip is read directly)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first (only gzip is read directly)"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV or JSON lines"),
    (b"PAR1", "a Parquet file; export it as CSV or JSON lines"),
    (b"\x89PNG", "a PNG image"),
    (b"\x7fELF", "a program"),
)


class ByteSource:
    """The unpacked bytes of one input, read once, in chunks.

    ``head`` holds the first bytes without consuming them. ``fault`` is set when
    the input breaks off (cut or damaged gzip, read error); what came before it
    is good.
    """

    def __init__(self, stream: BinaryIO, name: str, *, is_file: bool = False) -> None:
        """Read the first bytes of ``stream``; ``name`` is what messages call it."""
        self.name = name
        self.is_file = is_file
        self.fault: str | None = None
        self._stream = stream
        self._unpacked = self._read()
        self.head = b""
        while len(self.head) < HEAD_BYTES and (chunk := next(self._unpacked, b"")):
            self.head += chunk
        self.head = self.head.removeprefix(_UTF8_BOM)

    def chunks(self) -> Iterator[bytes]:
        """Yield everything once, starting with the head."""
        if self.head:
            yield self.head
        yield from self._unpacked

    def check_text(self) -> None:
        """Refuse what is empty or can be told from its first bytes not to be UTF-8 text.

        Raises:
            InvalidInputError: with what it seems to be and what to do.
        """
        if not self.head.strip() and self.fault is None:
            raise InvalidInputError(f"{self.name} is empty; there is nothing to read")
        for signature, seems in _SIGNATURES:
            if self.head.startswith(signature):
                raise InvalidInputError(f"{self.name} seems to be {seems}")
        start = self.head[:64]
        if len(start) > 1 and (not any(start[::2]) or not any(start[1::2])):
            raise InvalidInputError(f"{self.name} seems to be UTF-16 text; {_UTF16_REMEDY}")

    def _read(self) -> Iterator[bytes]:
        try:
            first = self._take()
            while 0 < len(first) < len(_GZIP) and (more := self._take()):
                first += more
            if first.startswith(_GZIP):
                yield from self._gunzip(first)
                return
            while first:
                yield first
                first = self._take()
        except OSError as error:
            self.fault = f"reading stopped: {error.strerror or error}"

    def _take(self) -> bytes:
        data = self._stream.read(CHUNK_BYTES)
        # A stream opened as text keeps its type a secret until it is read.
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError(f"{self.name} is a text stream; open it in binary mode")
        return data

    def _gunzip(self, packed: bytes) -> Iterator[bytes]:
        # One file may hold several gzip members, as made by `cat a.gz b.gz`.
        unpacker = zlib.decompressobj(31)
        total = 0
        while packed:
            try:
                data = unpacker.decompress(packed, CHUNK_BYTES)
            except zlib.error as error:
                self.fault = f"the gzip data is damaged after {total:,} unpacked bytes ({error})"
                return
            total += len(data)
            if data:
                yield data
            packed = unpacker.unconsumed_tail
            if unpacker.eof:
                packed = (unpacker.unused_data or self._take()).lstrip(b"\0")
                unpacker = zlib.decompressobj(31) if packed else unpacker
            elif not packed:
                packed = self._take()
        if not unpacker.eof:
            self.fault = f"the gzip data is cut off after {total:,} unpacked bytes"


@contextmanager
def open_source(path_or_stream: PathOrStream) -> Generator[ByteSource]:
    """Open a file, or wrap a binary stream that the caller keeps and closes.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is a directory, may not be read, or is a text stream.
    """
    if not isinstance(path_or_stream, (str, os.PathLike)):
        yield ByteSource(path_or_stream, str(getattr(path_or_stream, "name", "the input")))
        return
    path = Path(path_or_stream)
    with open_file(path) as stream:
        yield ByteSource(stream, str(path), is_file=True)


def not_utf8(data: bytes) -> str:
    """Return what to tell about a record that is not UTF-8."""
    try:
        data.decode()
        byte = "?"
    except UnicodeDecodeError as error:
        byte = f"0x{data[error.start]:02X}"
    return (
        f"is not UTF-8 (byte {byte}); if the file is Latin-1 or Windows-1252, "
        "convert it: iconv -f WINDOWS-1252 -t UTF-8 IN > OUT"
    )


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it is a directory, or may not be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}; check the path") from error
    except IsADirectoryError as error:
        raise InvalidInputError(f"{path} is a directory; name one file in it") from error
    except PermissionError as error:
        raise InvalidInputError(f"{path} may not be read by this user; give it read permission") from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be opened: {error}") from error
