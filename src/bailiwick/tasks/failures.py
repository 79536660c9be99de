"""What is kept of a failed attempt."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

from bailiwick.kernel.errors import BailiwickError
from bailiwick.telemetry.redacting import redacted

_MAX_MESSAGE = 2000


def error_record(error: Exception, attempt: int) -> dict[str, object]:
    """Return an attempt's error as JSON: when, what, and the innermost line of code.

    No arguments and no local values are kept: they may hold secrets. Those in the message are taken out.
    """
    message = redacted(_storable(str(error))) or type(error).__name__
    record: dict[str, object] = {
        "at": datetime.now(UTC).isoformat(),
        "attempt": attempt,
        "error": error.code if isinstance(error, BailiwickError) else type(error).__name__,
        "message": message[:_MAX_MESSAGE],
    }
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        record["where"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    return record


def _storable(text: str) -> str:
    """Return ``text`` without what neither JSON nor PostgreSQL can hold."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace").decode()
