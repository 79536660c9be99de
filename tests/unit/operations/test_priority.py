"""How urgent an issue is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.priority import Priority, PriorityClassifier, priority_of_label, priority_of_value

CLASSIFIER = PriorityClassifier()


@pytest.mark.parametrize(
    ("label", "priority"),
    [
        ("P0", Priority.P0),
        ("priority/P1", Priority.P1),
        ("priority:high", Priority.P1),
        ("Priority - Low", Priority.P3),
        ("high priority", Priority.P1),
        ("priority: 1 (critical)", Priority.P1),
        ("prio 2", Priority.P2),
        ("P3-backlog", Priority.P3),
        ("p4", Priority.P3),
        ("critical", Priority.P1),
        ("urgent", Priority.P1),
        ("🔥 urgent", Priority.P1),
        ("blocker", Priority.P0),
        ("severity: critical", Priority.P1),
        ("sev1", Priority.P0),
        ("Priority: Trivial", Priority.P3),
    ],
)
def test_spellings_of_priority_labels(label: str, priority: Priority) -> None:
    assert priority_of_label(label) is priority


@pytest.mark.parametrize(
    "label",
    ["bug", "high", "blocked", "status: blocked", "major", "p-high", "severity: 2 (regression)", "", "P9", "api"],
)
def test_labels_that_say_no_priority(label: str) -> None:
    assert priority_of_label(label) is None


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        ("Blocker", Priority.P0),
        ("Critical", Priority.P1),
        ("Major", Priority.P2),
        ("Minor", Priority.P3),
        ("Trivial", Priority.P3),
        ("P1 - urgent", Priority.P1),
        ("High\nmore text", Priority.P1),
        ("2", Priority.P2),
    ],
)
def test_values_of_priority_fields(value: str, priority: Priority) -> None:
    assert priority_of_value(value) is priority


def test_label_beats_section_beats_words() -> None:
    body = "Priority: low\n\nComplete outage, data loss, everything is down."
    assert CLASSIFIER.classify("x", body, ["P1"]).priority is Priority.P1
    by_section = CLASSIFIER.classify("x", body)
    assert (by_section.priority, by_section.source, by_section.confidence) == (Priority.P3, "section", 0.9)
    assert CLASSIFIER.classify("x", body.partition("\n")[2]).priority is Priority.P0


def test_the_most_urgent_of_several_labels_counts() -> None:
    assert CLASSIFIER.classify("x", "", ["low priority", "P1", "P2"]).priority is Priority.P1


@pytest.mark.parametrize(
    ("title", "priority"),
    [
        ("Complete outage of the web shop", Priority.P0),
        ("Data loss after the nightly import", Priority.P0),
        ("Security breach: credentials leaked", Priority.P0),
        ("Urgent: customers cannot pay", Priority.P1),
        ("Typo on the start page", Priority.P3),
        ("Not urgent: a nicer icon", Priority.P3),
    ],
)
def test_words_that_say_how_urgent_it_is(title: str, priority: Priority) -> None:
    found = CLASSIFIER.classify(title)
    assert (found.priority, found.source) == (priority, "words")
    assert all(one.term in title.lower() for one in found.evidence)
    assert found.evidence


@pytest.mark.parametrize("title", ["There is no data loss", "This is not an outage", "Works without any outage"])
def test_negated_words_do_not_raise(title: str) -> None:
    assert CLASSIFIER.classify(title).priority is Priority.P2


def test_without_any_sign_it_is_p2_with_half_confidence() -> None:
    found = CLASSIFIER.classify("The list is sorted by name")
    assert (found.priority, found.source, found.confidence, found.evidence) == (Priority.P2, "default", 0.5, ())


@given(st.text(max_size=200), st.text(max_size=800), st.lists(st.text(max_size=30), max_size=3))
def test_every_text_gets_a_priority(title: str, body: str, labels: list[str]) -> None:
    found = CLASSIFIER.classify(title, body, labels)
    assert found.priority in set(Priority)
    assert 0.0 < found.confidence <= 1.0
