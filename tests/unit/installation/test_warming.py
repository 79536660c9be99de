"""What is loaded when: nothing heavy at start, the rest ahead of the first work and in the way of nothing."""

import asyncio
import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs

from bailiwick.extensions import Registrar, Registry
from bailiwick.installation.warming import Warming
from bailiwick.kernel.loading import load, loaded
from bailiwick.packs.operations.extension import HEAVY_MODULES


class _KernelStub:
    database = None
    directory = None


def test_serving_and_registering_imports_nothing_heavy():
    heavy = ("numpy", "scipy", "sklearn", "alembic", "sqlalchemy", "githubkit")
    code = (
        "import sys, bailiwick.cli.up; from bailiwick.extensions import find_extensions; found, _ = find_extensions(); "
        f"assert found; print([name for name in {heavy!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


async def test_functions_run_in_order_in_another_thread():
    ran: list[tuple[str, bool]] = []
    here = threading.current_thread()
    warming = Warming([lambda name=name: ran.append((name, threading.current_thread() is here)) for name in "abc"])

    warming.start()
    await warming.wait()

    assert ran == [("a", False), ("b", False), ("c", False)]


async def test_a_failure_is_logged_and_the_next_function_runs():
    ran: list[str] = []

    def fail() -> None:
        raise ImportError("no such library")

    with capture_logs() as logs:
        warming = Warming([fail, lambda: ran.append("next")])
        warming.start()
        await warming.wait()

    assert ran == ["next"]
    assert [(entry["log_level"], entry["error"]) for entry in logs if entry["event"] == "warming failed"] == [
        ("warning", "ImportError: no such library")
    ]


async def test_after_a_stop_no_further_function_begins_and_nobody_waits():
    began, may_end = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        began.set()
        may_end.wait(10)
        ran.append("first")

    warming = Warming([first, lambda: ran.append("second")])
    warming.start()
    await asyncio.to_thread(began.wait, 10)
    warming.stop()
    assert ran == []

    may_end.set()
    await warming.wait()
    assert ran == ["first"]


async def test_without_functions_there_is_nothing_to_wait_for():
    warming = Warming(())
    warming.start()
    await warming.wait()
    warming.stop()


def test_the_registrar_keeps_what_to_warm_in_order_and_runs_none_of_it():
    def first() -> None:
        pytest.fail("registering ran it")

    registry = Registry()
    registrar = Registrar(registry, _KernelStub())  # pyright: ignore[reportArgumentType] - no service is used
    registrar.warm(first)
    registrar.warm(print)

    assert registry.warmers == [first, print]


@pytest.mark.parametrize("name", HEAVY_MODULES)
def test_every_module_that_the_pack_warms_can_be_loaded(name: str):
    assert load(name) is sys.modules[name]


async def test_a_module_is_loaded_once_whoever_asks():
    first = await loaded("bailiwick.packs.operations.workroom")

    assert load("bailiwick.packs.operations.workroom") is first
    with pytest.raises(ModuleNotFoundError):
        await loaded("bailiwick.packs.operations.no_such_room")
