"""What a reader could not accept, kept so that a person can mend it and send it again."""

from dataclasses import dataclass
from typing import Self

MAX_RAW_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    r"""One record that was not accepted; the records around it were.

    ``line`` is where it starts and ``ordinal`` which record of the input it
    is, both from 1. ``raw`` is its text, at most ``MAX_RAW_BYTES`` of UTF-8:
    bytes that are not UTF-8 are written ``\xe9`` and U+0000 is written
    ``\u0000``, so that it can always be stored. A ``raw_truncated`` record
    has to be taken from its source again; every other one can be mended and
    read again as it stands.
    """

    line: int
    ordinal: int
    reason: str
    raw: str
    raw_truncated: bool = False

    @classmethod
    def of(cls, data: bytes, reason: str, *, line: int, ordinal: int, truncated: bool = False) -> Self:
        """Return the rejection of ``data``, cut to the limit."""
        text = data[:MAX_RAW_BYTES].decode("utf-8", "backslashreplace").replace("\0", "\\u0000")
        kept = text.encode()[:MAX_RAW_BYTES].decode("utf-8", "ignore")
        cut = truncated or len(data) > MAX_RAW_BYTES or len(kept) < len(text)
        if cut:
            reason = f"{reason} (only the first {MAX_RAW_BYTES // 1024} KiB of the record are kept)"
        return cls(line=line, ordinal=ordinal, reason=reason, raw=kept, raw_truncated=cut)
