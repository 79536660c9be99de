"""Text from outside is shown, never obeyed: not by a terminal, not by a format."""

import io
import json
import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli import output
from bailiwick.cli.output import print_json, print_text
from bailiwick.cli.trace import _tree
from bailiwick.installation.tracing import TracedEvent, TracedStep, TracedTask
from tests.unit.installation.test_narrowed_traces import NOW

EVIL = "{0.__class__} %s %(x)s [red]b[/red] \x1b]0;pwn\x07\x1b[2J\x9b31m\x7f\r\b"
CONTROLS = {chr(code) for code in [*range(9), *range(11, 32), *range(127, 160)]}


@given(st.text())
def test_json_is_the_same_document_and_holds_no_control_character(text: str) -> None:
    shown = output._encoded({"title": text}).decode()
    assert not CONTROLS & set(shown)
    assert orjson.loads(shown) == json.loads(shown) == {"title": text}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_record_is_printed_as_it_is_but_for_what_a_terminal_would_obey(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, expected in (
        (io.StringIO(), f"{EVIL}\n"),
        (_Terminal(), "{0.__class__} %s %(x)s [red]b[/red] ]0;pwn[2J31m\n"),
    ):
        monkeypatch.setattr("sys.stdout", stream)
        print_text(EVIL)
        assert stream.getvalue() == expected


def test_a_trace_shows_labels_and_outside_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    task = TracedTask(
        "t", "answer", "completed", 2, {}, EVIL, None, EVIL, EVIL, [], None, NOW, NOW, NOW, labels=["by:user:anna"],
        steps=[TracedStep(0, "step", EVIL, EVIL, 1.0, NOW, ["untrusted:mail"])],
    )  # fmt: skip
    event = TracedEvent("e", "issue.opened", EVIL, {"title": EVIL}, NOW, NOW, [task], ["untrusted:github"])
    output.screen().print(_tree(event, "e", with_steps=True))
    shown = capsys.readouterr().out
    for label in ("by:user:anna", "untrusted:mail", "untrusted:github"):
        assert label in shown
    assert "{0.__class__} %s %(x)s [red]b[/red]" in shown
    assert not CONTROLS & set(shown)


def test_a_terminal_in_colour_obeys_our_own_codes_only() -> None:
    stream = _Terminal()
    output.SafeConsole(file=stream, force_terminal=True, width=200).print(EVIL, style="bold", markup=False)
    assert "\x1b[1m" in stream.getvalue()
    assert not CONTROLS & set(re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()))


def test_numbers_and_nothing_are_printed_as_ever(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json({"n": 1, "nothing": None})
    assert capsysbinary.readouterr().out == b'{\n  "n": 1,\n  "nothing": null\n}\n'
