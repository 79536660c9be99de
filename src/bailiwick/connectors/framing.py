"""Cutting a JSON input into records without parsing it, so that one bad record stays one bad record.

A parser stops at the first fault. The scanner below only follows quotes and
brackets, hands each record to the parser by itself, and after a fault goes on
where the next record plainly begins. Memory is bounded by ``MAX_FRAME_BYTES``
plus one chunk, whatever the size of the input.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bailiwick.connectors.rejected import MAX_RAW_BYTES
from bailiwick.connectors.sources import ByteSource

MAX_FRAME_BYTES = 4 * 1024 * 1024
_TOO_LONG = f"the record is longer than {MAX_FRAME_BYTES // 1024 // 1024} MiB"
_WHITESPACE = b" \t\r\n\xef\xbb\xbf"

# Runs in C over everything that is neither a bracket nor an unfinished string;
# possessive, so that a long string costs no backtracking memory.
_PLAIN = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+")*+')
_STRING_START = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_BETWEEN = re.compile(rb"[ \t\r\n,\[\]\xef\xbb\xbf]*+")
_SCALAR = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|[^,\[\]{\s]+')
_FIRST_KEY = re.compile(rb'\{\s*("[^"\\\n]{1,64}"\s*:)')
_CLOSES = {ord("}"): ord("{"), ord("]"): ord("[")}


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes of one record; with a ``fault`` they are not worth parsing."""

    line: int
    ordinal: int
    data: bytes
    fault: str | None = None
    truncated: bool = False


def line_frames(source: ByteSource) -> Iterator[Frame]:
    """Yield one frame for each line that is not blank (JSON lines)."""
    line = ordinal = 0
    tail = b""
    overlong = False
    for chunk in source.chunks():
        *lines, tail = (tail + chunk).split(b"\n")
        for text in lines:
            line += 1
            data = text.strip(_WHITESPACE)
            if data or overlong:
                ordinal += 1
                yield _overlong_frame(line, ordinal, data) if overlong else Frame(line, ordinal, data)
            overlong = False
        if len(tail) > MAX_FRAME_BYTES:
            overlong = True
            tail = tail[:MAX_RAW_BYTES]
    data = tail.strip(_WHITESPACE)
    if data or source.fault is not None:
        fault = _TOO_LONG if overlong else source.fault
        yield Frame(line + 1, ordinal + 1, data, fault=fault, truncated=overlong)


def _overlong_frame(line: int, ordinal: int, data: bytes) -> Frame:
    return Frame(line, ordinal, data[:MAX_RAW_BYTES], fault=_TOO_LONG, truncated=True)


def value_frames(source: ByteSource) -> Iterator[Frame]:
    """Yield one frame for each element of a JSON array.

    Arrays that follow or hold each other (pages saved one after another) and
    objects that follow each other are read as one sequence of records.
    """
    return _ValueScan(source).frames()


class _ValueScan:
    """A position in the input and the bytes from the current record on."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._chunks = source.chunks()
        self._buffer = b""
        self._position = 0
        self._start = 0
        self._line = 1
        self._counted = 0
        self._ordinal = 0
        self._open_arrays = 0
        self._next_record: re.Pattern[bytes] | None = None

    def frames(self) -> Iterator[Frame]:
        cut = False
        while self._skip_between():
            self._ordinal += 1
            frame = self._object() if self._buffer[self._position] == ord("{") else self._scalar()
            cut = frame.fault is not None and self._at_end()
            yield frame
        fault = self._source.fault
        if fault is None and self._open_arrays > 0:
            fault = 'the input ends before the array is closed with "]"; it seems to be cut off'
        if fault is not None and not cut:
            yield Frame(self._line_at(self._position), self._ordinal + 1, b"", fault=fault)

    def _skip_between(self) -> bool:
        """Go to the start of the next record; False at the end of the input."""
        while True:
            match = _BETWEEN.match(self._buffer, self._position)
            end = match.end() if match else self._position
            skipped = self._buffer[self._position : end]
            self._open_arrays += skipped.count(b"[") - skipped.count(b"]")
            self._position = self._start = end
            if end < len(self._buffer):
                return True
            if not self._more():
                return False

    def _object(self) -> Frame:
        self._learn_layout()
        line = self._line_at(self._start)
        opened = bytearray()
        while True:
            match = _PLAIN.match(self._buffer, self._position)
            self._position = match.end() if match else self._position
            byte = self._buffer[self._position] if self._position < len(self._buffer) else None
            if byte is None or (byte == ord('"') and self._string_goes_on()):
                if len(self._buffer) - self._start > MAX_FRAME_BYTES:
                    return self._recover(line, _TOO_LONG)
                if not self._more():
                    return self._cut(line)
            elif byte == ord('"'):
                return self._recover(line, "a text is not closed before the end of its line")
            elif byte in b"{[":
                opened.append(byte)
                self._position += 1
            elif opened.pop() != _CLOSES[byte]:
                return self._recover(line, f'a "{chr(byte)}" closes nothing that is open')
            else:
                self._position += 1
                if not opened:
                    return Frame(line, self._ordinal, self._buffer[self._start : self._position])

    def _scalar(self) -> Frame:
        line = self._line_at(self._start)
        while True:
            match = _SCALAR.match(self._buffer, self._position)
            end = match.end() if match else self._position + 1
            long = end - self._start > MAX_RAW_BYTES
            if end < len(self._buffer) or long or not self._more():
                break
        data = self._buffer[self._start : end]
        self._position = end
        return Frame(line, self._ordinal, data, fault=self._source.fault if self._at_end() else None)

    def _string_goes_on(self) -> bool:
        """Say whether the unfinished string reaches the end of what was read so far."""
        match = _STRING_START.match(self._buffer, self._position)
        end = match.end() if match else self._position
        return self._buffer[end : end + 2] in (b"", b"\\")

    def _cut(self, line: int) -> Frame:
        self._position = len(self._buffer)
        fault = self._source.fault or "the input ends inside this record; it seems to be cut off"
        return Frame(line, self._ordinal, self._buffer[self._start :], fault=fault)

    def _learn_layout(self) -> None:
        """Note from the first record how the start of a record can be told."""
        if self._next_record is not None:
            return
        indent = self._buffer[self._buffer.rfind(b"\n", 0, self._start) + 1 : self._start]
        key = _FIRST_KEY.match(self._buffer, self._start)
        if b"\n" in self._buffer[: self._start] and not indent.strip():
            self._next_record = re.compile(rb"\n" + re.escape(indent) + rb"(?=\{)")
        elif key is not None:
            self._next_record = re.compile(rb"\}\s*,?\s*(?=\{\s*" + re.escape(key.group(1)) + rb")")

    def _recover(self, line: int, reason: str) -> Frame:
        """Reject from the record's start to where the next record plainly begins."""
        kept = b""
        dropped = False
        searched = self._start + 1
        while True:
            match = self._next_record.search(self._buffer, searched) if self._next_record else None
            stop = match.end() if match else max(self._start, len(self._buffer) - 256)
            dropped = dropped or len(kept) + stop - self._start > MAX_RAW_BYTES
            kept += self._buffer[self._start : min(stop, self._start + MAX_RAW_BYTES - len(kept))]
            self._position = self._start = stop
            if match is not None or not self._more():
                break
            searched = self._start
        if match is None:
            kept += self._buffer[self._start :][: MAX_RAW_BYTES - len(kept)]
            self._position = self._start = len(self._buffer)
            reason = f"{reason}; no later record could be told from it"
        return Frame(line, self._ordinal, kept.rstrip(b", \r\n"), fault=reason, truncated=dropped)

    def _more(self) -> bool:
        """Read one more chunk, letting go of what lies before the current record."""
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        self._line_at(self._start)
        self._buffer = self._buffer[self._start :] + chunk
        self._position -= self._start
        self._counted = self._start = 0
        return True

    def _at_end(self) -> bool:
        return self._position >= len(self._buffer) and not self._more()

    def _line_at(self, index: int) -> int:
        if index > self._counted:
            self._line += self._buffer.count(b"\n", self._counted, index)
            self._counted = index
        return self._line
