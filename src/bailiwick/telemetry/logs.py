"""Logs: to standard error only, for people on a terminal, as JSON lines elsewhere."""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(@)")
_KEY = re.compile(r"\b(bw_[\w-]{6})[\w-]{10,}")


# What these tell below a warning is of use to nobody who runs the platform.
_CHATTY = ("httpx", "httpcore", "hishel", "asyncio", "alembic", "psycopg.pool", "uvicorn.access", "uvicorn.error")


def configure_logs(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send our own logs and those of libraries to one place in one form.

    ``level`` is debug, info, warning or error. On a terminal lines are for
    people; otherwise each is one JSON object with ``timestamp``, ``level``,
    ``logger`` and ``event``. Passwords in URLs and API keys are never written.
    """
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers are made when modules are imported, which may be before this.
        cache_logger_on_first_use=False,
    )
    is_for_people = stream is not None and stream.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=True, pad_event_to=32)
        if is_for_people
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace passwords in URLs and API keys in every text of a log entry."""
    return {name: without_secrets(value) if isinstance(value, str) else value for name, value in event.items()}


def without_secrets(text: str) -> str:
    """Return a text with the passwords of URLs and the secret part of our keys replaced by ``***``."""
    return _KEY.sub(r"\1***", _PASSWORD.sub(r"\1***\2", text))
