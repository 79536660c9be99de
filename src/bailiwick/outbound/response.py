"""An answer's body, bounded in size and time."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

import httpcore
import httpx

from bailiwick.outbound.failures import TRANSPORT_ERRORS, translated

_GZIP = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 65_536
_DROPPED = ("content-encoding", "content-length")


class BoundedBody(httpx.AsyncByteStream):
    """The body of an answer, unpacked here so that a small packed one cannot fill the memory.

    Iterating raises httpx.DecodingError for a body larger than the bound or
    packed in a way that was not asked for, and httpx.ReadTimeout when the time
    is over.
    """

    def __init__(self, answer: httpcore.Response, limit_bytes: int, deadline: float) -> None:
        """Take an answer of the pool; ``deadline`` is a time of the event loop's clock."""
        self._answer = answer
        self._limit = limit_bytes
        self._deadline = deadline
        self._taken = 0
        self._is_begun = False
        received = httpx.Headers(answer.headers)
        self._encoding = received.get("content-encoding", "identity").strip().lower()
        self.headers = received
        self._unpacker = zlib.decompressobj(_GZIP) if self._encoding == "gzip" else None
        if self._unpacker is not None:
            for name in _DROPPED:
                self.headers.pop(name, None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body, unpacked."""
        if self._encoding not in ("identity", "gzip", ""):
            raise httpx.DecodingError("the answer is packed in a way that was not asked for")
        async for chunk in self._chunks():
            for part in self._unpacked(chunk):
                self._taken += len(part)
                if self._taken > self._limit:
                    raise httpx.DecodingError(f"the answer is larger than {self._limit:,} bytes")
                yield part
        if self._unpacker is not None and self._is_begun and not self._unpacker.eof:
            raise httpx.DecodingError("the answer ends in the middle")

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        await self._answer.aclose()

    async def _chunks(self) -> AsyncIterator[bytes]:
        received = aiter(self._answer.aiter_stream())
        while True:
            try:
                # One chunk at a time: a timeout may not span a yield.
                async with asyncio.timeout_at(self._deadline):
                    chunk = await anext(received, None)
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer took longer than allowed") from error
            except TRANSPORT_ERRORS as error:
                raise translated(error) from error
            if chunk is None:
                return
            self._is_begun = True
            yield chunk

    def _unpacked(self, chunk: bytes) -> Iterator[bytes]:
        if self._unpacker is None:
            yield chunk
            return
        try:
            while chunk:
                yield self._unpacker.decompress(chunk, _PIECE_BYTES)
                chunk = self._unpacker.unconsumed_tail
        except zlib.error as error:
            raise httpx.DecodingError("the answer cannot be unpacked") from error
