"""Logs: to standard error only, for people on a terminal, as JSON lines elsewhere."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bailiwick.kernel.terminals import harmless
from bailiwick.telemetry.redacting import redact

# What these tell below a warning is of use to nobody who runs the platform.
_CHATTY = ("httpx", "httpcore", "hishel", "asyncio", "alembic", "psycopg.pool", "uvicorn.access", "uvicorn.error")


def configure_logs(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send our own logs and those of libraries to one place in one form.

    ``level`` is debug, info, warning or error. On a terminal lines are for
    people; otherwise each is one JSON object with ``timestamp``, ``level``,
    ``logger`` and ``event``. Secrets are never written, see ``redacting``.
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
    renderers: list[Processor] = (
        [hide_controls, structlog.dev.ConsoleRenderer(colors=True, pad_event_to=32)]
        if is_for_people
        else [structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def hide_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep from a terminal what texts from outside would have it do; what is no text is escaped anyway."""
    return {name: harmless(value) if isinstance(value, str) else value for name, value in event.items()}


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every secret that can be recognized, by its value, its form or its field's name."""
    # What begins with an underscore is structlog's own and not written.
    own = {name: value for name, value in event.items() if name.startswith("_")}
    return {**redact({name: value for name, value in event.items() if name not in own}), **own}
