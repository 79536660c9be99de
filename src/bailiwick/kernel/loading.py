"""Modules that take long to import, loaded at their first use instead of at start."""

import asyncio
import threading
from importlib import import_module
from types import ModuleType

_loaded: dict[str, ModuleType] = {}
# Two threads that import different parts of one library at once may, where its
# modules import each other, be given one that is only half there.
_lock = threading.RLock()


def load(name: str) -> ModuleType:
    """Return a module by its full name, imported when it is first asked for.

    Safe from any thread: one import is done at a time. The first call may take
    seconds, so on an event loop use `loaded`.
    """
    module = _loaded.get(name)
    if module is None:
        with _lock:
            module = _loaded[name] = import_module(name)
    return module


async def loaded(name: str) -> ModuleType:
    """Return a module like `load`; an import is done in a thread, and the event loop goes on."""
    return _loaded.get(name) or await asyncio.to_thread(load, name)
