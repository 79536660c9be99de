"""Values are written in one way wherever they are shown, as nobody's code and so that nothing in them acts."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli.output import print_document, print_facts, print_table
from bailiwick.cli.values import LONGEST, amount, in_line, moment, share

AT = datetime(2026, 11, 21, 19, 3, 5, 123456, tzinfo=UTC)
EVIL = "[red]x[/red]\x1b[2J\u202ereversed\u2066\x9b1m\nnext"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), ("text", "text"), (True, "true"), (3, "3"), (0.5, "0.5"), (Decimal("1.500000"), "1.5"),
        (AT, "2026-11-21 19:03:05 UTC"), ({"a": [1, None, True]}, '{"a": [1, null, true]}'),
        ({"at": AT, "price": Decimal("0.10")}, '{"at": "2026-11-21T19:03:05.123456+00:00", "price": "0.1"}'),
        ("a\nb\\n", "a\\nb\\\\n"), ((1, 2), "[1, 2]"), (frozenset({"b", "a"}), '["a", "b"]'),
    ],
)  # fmt: skip
def test_a_value_is_written_on_one_line_and_never_as_python(value, text):
    assert in_line(value) == text


def test_what_is_long_is_cut_and_says_where_the_whole_is():
    shown = in_line({"text": "x" * 1_000})
    assert len(shown) < LONGEST + 50
    assert shown.endswith("… (712 more characters: --json)")
    assert in_line("x" * 1_000, longest=None) == "x" * 1_000


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_nothing_in_a_value_reaches_the_terminal_but_what_is_seen(value):
    assert all(one in " …" or unicodedata.category(one)[0] not in "CZ" for one in in_line(value))


def test_moments_amounts_and_shares_are_written_in_one_way():
    assert moment(AT.astimezone(timezone(timedelta(hours=9)))) == "2026-11-21 19:03:05 UTC"
    assert [amount(one) for one in (Decimal("1E+3"), Decimal("0.020000"), 1e-7, 12.5, 0)] == [
        "1000", "0.02", "0.0000001", "12.5", "0",
    ]  # fmt: skip
    assert (share(0.666), share(0.666, 1), share(1)) == ("67%", "66.6%", "100%")


def test_one_thing_is_shown_as_a_line_for_each_name(capsys):
    print_facts([("name", EVIL), ("price", Decimal("2.50")), ("nothing", None), ("labels", []), ("is_on", False)])
    assert capsys.readouterr().out.splitlines() == [
        "name   [red]x[/red]\\u{1b}[2J\\u{202e}reversed\\u{2066}\\u{9b}1m\\nnext", "price  2.5", "is_on  false",
    ]  # fmt: skip


def test_a_document_is_shown_whole_with_what_it_leaves_open(capsys):
    print_document("payload", {"a": None, "long name": {"b": [EVIL]}, EVIL: ""})
    print_document("result", ["x"])
    out = capsys.readouterr().out
    assert out.startswith("payload\n  a ")
    assert '"b": ["[red]x[/red]\\u001b[2J\\u202ereversed\\u2066\\u009b1m\\nnext"]' in out
    assert out.endswith('result  ["x"]\n')
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_table_has_no_python_in_it_and_turns_no_text_around(capsys):
    print_table(("name", "on", "document"), [(EVIL.replace("\n", ""), True, {"a": "b", "n": None})], empty="")
    out = capsys.readouterr().out
    assert "true" in out
    assert '{"a": "b", "n": null}' in out
    assert not {"\x1b", "\x9b", "\u202e", "\u2066"} & set(out)
