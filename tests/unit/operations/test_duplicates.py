"""Likely duplicates among known issues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.duplicates import DEFAULT_THRESHOLD, DuplicateIndex
from bailiwick.packs.operations.issue_text import read_issue_text

KNOWN = {
    "shop#1": (
        "Checkout page stays blank after paying with card",
        "Since the update the page after the payment is white.",
    ),
    "shop#2": ("Upgrade the mail library to 4.1", "The old version has no support any more, several services use it."),
    "shop#3": ("Newsletter for the summer sale", "Three articles and a coupon code for existing customers."),
    "shop#4": (
        "Export of the customer list is slow",
        "It takes eleven minutes for ten thousand customers in the office.",
    ),
}


@pytest.fixture
def index() -> DuplicateIndex:
    learned = DuplicateIndex()
    for key, (title, body) in KNOWN.items():
        learned.learn_one(key, read_issue_text(title, body))
    return learned


def test_the_same_report_again_is_found_with_what_is_shared(index: DuplicateIndex) -> None:
    best, *_ = index.predict_one(read_issue_text(*KNOWN["shop#1"]))
    assert best.key == "shop#1"
    assert best.score == pytest.approx(1.0, abs=0.01)
    assert "checkout" in best.shared_terms


def test_a_reworded_report_ranks_first_below_certainty(index: DuplicateIndex) -> None:
    text = read_issue_text(
        "Blank page at checkout when paying by card", "White page after the payment since the last update."
    )
    best, *_ = index.predict_one(text, threshold=0.1)
    assert best.key == "shop#1"
    assert 0.1 < best.score < 1.0


def test_an_unrelated_report_has_no_duplicate(index: DuplicateIndex) -> None:
    assert index.predict_one(read_issue_text("Hire a second baker", "For the night shift.")) == ()


def test_a_task_of_the_same_series_is_no_duplicate(index: DuplicateIndex) -> None:
    body = "The old version has no support any more, several services use it."
    same = index.predict_one(read_issue_text("Upgrade the mail library to 4.1", body), threshold=0.0)[0]
    other = index.predict_one(read_issue_text("Upgrade the mail library to 5.0", body), threshold=0.0)[0]
    assert same.key == other.key == "shop#2"
    assert other.score < DEFAULT_THRESHOLD <= same.score


def test_an_issue_can_be_left_out_and_is_learned_once(index: DuplicateIndex) -> None:
    text = read_issue_text(*KNOWN["shop#1"])
    assert all(
        found.key != "shop#1" for found in index.predict_one(text, threshold=0.0, exclude=["shop#1", "unknown#9"])
    )
    index.learn_one("shop#1", read_issue_text("something else", ""))
    assert len(index) == len(KNOWN)
    assert "shop#1" in index
    assert index.predict_one(text)[0].key == "shop#1"


def test_nothing_known_or_nothing_said_finds_nothing(index: DuplicateIndex) -> None:
    assert DuplicateIndex().predict_one(read_issue_text("x", "y")) == ()
    assert index.predict_one(read_issue_text("", "")) == ()
    with pytest.raises(InvalidInputError, match="limit"):
        index.predict_one(read_issue_text("x", ""), limit=0)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=120)), max_size=12), st.text(max_size=40))
def test_scores_are_shares_in_falling_order(issues: list[tuple[str, str]], title: str) -> None:
    index = DuplicateIndex()
    for number, (known_title, body) in enumerate(issues):
        index.learn_one(str(number), read_issue_text(known_title, body))
    found = index.predict_one(read_issue_text(title, "the page is white"), threshold=0.0, limit=20)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert len({one.key for one in found}) == len(found)


def test_ten_thousand_issues_are_searched_at_once() -> None:
    index = DuplicateIndex()
    for number in range(10_000):
        index.learn_one(
            str(number), read_issue_text(f"Machine {number} in hall {number % 7}", f"part {number % 501} worn")
        )
    found = index.predict_one(read_issue_text("Machine 4711 in hall 0", "part 202 worn"))
    assert found[0].key == "4711"
