"""Outsiders' texts are seen whole in a terminal and do nothing to it."""

import unicodedata

import orjson
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.cli.legible import legible, legible_document


@given(st.text())
def test_nothing_that_hides_obeys_or_turns_around_reaches_the_terminal(text: str) -> None:
    shown = legible(text)
    assert all(one == " " or unicodedata.category(one)[0] not in "CZ" for one in shown)


@given(st.text(), st.text())
def test_different_texts_look_different(one: str, other: str) -> None:
    assert (one == other) == (legible(one) == legible(other))


def test_a_document_keeps_its_lines_and_nothing_else_breaks_one() -> None:
    assert legible_document({"a": "x\ny"}) == '{\n  "a": "x\\ny"\n}'


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_document_can_be_copied_as_it_is_shown_and_hides_nothing(text: str) -> None:
    shown = legible_document({"a": text})
    assert orjson.loads(shown) == {"a": text}
    assert all(one in " \n" or unicodedata.category(one)[0] not in "CZ" for one in shown)
