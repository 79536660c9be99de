import io
import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from bailiwick.telemetry.logs import configure_logs
from bailiwick.telemetry.redacting import hide


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    configure_logs("info", stream=written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_away_from_a_terminal_each_line_is_one_json_object(stream):
    structlog.get_logger("bailiwick.test").info("hello", task_id="7")
    logging.getLogger("some.library").warning("%s happened", "this")

    ours, theirs = (orjson.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["task_id"], ours["level"], ours["logger"]) == ("hello", "7", "info", "bailiwick.test")
    assert (theirs["event"], theirs["level"]) == ("this happened", "warning")
    assert ours["timestamp"].endswith("Z")


def test_lower_levels_are_not_written(stream):
    structlog.get_logger("bailiwick.test").debug("details")

    assert not stream.getvalue()


def test_passwords_and_keys_are_never_written(stream):
    structlog.get_logger("bailiwick.test").error("no", url="postgresql://bailiwick:hunter2@db/x", key="bw_" + "a" * 43)

    assert "hunter2" not in stream.getvalue()
    assert "a" * 10 not in stream.getvalue()


def test_secrets_are_hidden_in_fields_exceptions_and_what_libraries_log(stream):
    hide("correct-horse-battery")
    log = structlog.get_logger("bailiwick.test")
    log.info("call", headers={"Authorization": "Basic Zm9vOmJhcg==", "accept": "x"}, token="abc", attempts=[3, "ok"])
    try:
        raise ValueError("refused: correct-horse-battery")
    except ValueError as error:
        log.exception("failed", error=error)
    logging.getLogger("some.library").warning("sent %s", "correct-horse-battery")

    written = stream.getvalue()
    assert "correct-horse" not in written
    first, second, third = (orjson.loads(line) for line in written.splitlines())
    assert first["headers"] == {"Authorization": "***", "accept": "x"}
    assert (first["token"], first["attempts"]) == ("***", [3, "ok"])
    assert "refused: ***" in second["exception"]
    assert second["error"] == "ValueError('refused: ***')"
    assert third["event"] == "sent ***"


def test_on_a_terminal_text_from_outside_is_shown_and_not_obeyed():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = Terminal()
    configure_logs("info", stream=written)
    try:
        structlog.get_logger("bailiwick.test").info("refused", reason="\x1b]0;pwn\x07 %s {0}", title=["\x9b2J"])
        logging.getLogger("some.library").warning("said %s", "\x1b[2J\x9b31m")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    shown = written.getvalue()
    assert "]0;pwn %s {0}" in shown
    for obeyed in ("\x1b]", "\x07", "\x9b", "\x1b[2J"):
        assert obeyed not in shown
