from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from rich.text import Text

from bailiwick.cli.output import ago, duration, note, print_json, print_table
from bailiwick.storage.pages import Page

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0.0, "0 ms"), (0.25, "250 ms"), (0.9996, "1.0 s"), (1.2, "1.2 s"), (42, "42 s"), (99.6, "2 min"),
        (600, "10 min"), (7200, "2 h"), (3 * 86400, "3 d"),
    ],
)  # fmt: skip
def test_a_time_span_is_written_in_the_unit_that_suits_it(seconds, text):
    assert duration(seconds) == text


def test_a_moment_is_told_from_now():
    assert ago(NOW - timedelta(minutes=5), now=NOW) == "5 min ago"
    assert ago(NOW + timedelta(hours=3), now=NOW) == "in 3 h"
    assert ago(None) == "-"


def test_control_characters_of_texts_do_not_reach_the_terminal(capsys):
    print_table(("title",), [("evil \x1b[31mred\x1b]0;pwn\x07 \x9b2Jtitle",)], empty="")
    note("evil \x1b[2Jnote")

    streams = capsys.readouterr()
    assert streams.out.split("\n")[1].rstrip() == "evil [31mred]0;pwn 2Jtitle"
    assert streams.err == "evil [2Jnote\n"


def test_json_is_one_document_with_stable_names(capsys):
    @dataclass
    class Record:
        name: str
        made_at: datetime

    print_json(Page([Record("a", NOW)], "next"))

    document = orjson.loads(capsys.readouterr().out)
    assert document == {"items": [{"name": "a", "made_at": "2026-11-20T12:00:00+00:00"}], "next_cursor": "next"}


def test_a_table_shows_ids_whole_and_outside_text_as_it_is(capsys):
    identifier = "01a1fab2-18a5-70a7-b4da-57421291aae8"

    print_table(("id", "title"), [(identifier, "[red]not markup[/red]")], empty="")

    shown = capsys.readouterr().out
    assert identifier in shown
    assert "[red]not markup[/red]" in shown
    assert "\x1b" not in shown


def test_an_empty_table_is_a_sentence_beside_the_output(capsys):
    print_table(("id",), [], empty="no such tasks")

    streams = capsys.readouterr()
    assert not streams.out
    assert "no such tasks" in streams.err


def test_styled_cells_are_plain_in_a_pipe(capsys):
    print_table(("state",), [(Text("done", style="green"),)], empty="")

    assert "\x1b" not in capsys.readouterr().out


def test_what_has_no_names_of_columns_begins_with_its_first_line(capsys):
    print_table(("", ""), [("status", "done")], empty="nothing")

    assert capsys.readouterr().out.splitlines()[0].split() == ["status", "done"]
