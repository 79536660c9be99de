"""Ctrl-C and SIGTERM: the first asks to stop in order, the second ends at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

from bailiwick.cli.output import note

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ENDED_AT_ONCE = 130


@contextmanager
def stop_signals(*, meanwhile: str, at_once: Callable[[], None] = lambda: None) -> Generator[asyncio.Event]:
    """Give an event that is set at the first signal; at the second the process ends there and then.

    ``meanwhile`` is told at the first; ``at_once`` is called before a forced
    end, which leaves nothing half-done: leases lapse, PostgreSQL recovers.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heed() -> None:
        if stopping.is_set():
            at_once()
            note("ended at once; unfinished tasks go on when a worker finds their leases lapsed", style="yellow")
            os._exit(_ENDED_AT_ONCE)
        note(meanwhile)
        stopping.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, heed)
    try:
        yield stopping
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
