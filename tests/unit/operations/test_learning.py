"""A classifier learned from history: what it promises about words, confidence, storage and too little data."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.packs.operations.calibration import (
    MIN_ISOTONIC,
    MIN_PLATT,
    Calibration,
    expected_calibration_error,
    fit_calibration,
)
from bailiwick.packs.operations.classification import IssueClassifier
from bailiwick.packs.operations.classification_learned import TextClassifier, TextSample
from bailiwick.packs.operations.issue_text import read_issue_text
from bailiwick.packs.operations.priority import PriorityClassifier

START = datetime(2026, 1, 1, tzinfo=UTC)
BREAD = ("loaf", "crust", "rye", "oven", "dough", "flour")
BOATS = ("hull", "anchor", "mast", "harbour", "sail", "rope")


def history(count: int, first: str = "finance.budgeting", second: str = "qa.testing") -> list[TextSample]:
    samples: list[TextSample] = []
    for number in range(count):
        vocabulary, target = (BREAD, first) if number % 2 else (BOATS, second)
        title = f"the {vocabulary[number % 6]} and the {vocabulary[(number // 2) % 6]}"
        body = f"about {vocabulary[(number * 7) % 6]} number {number}"
        samples.append(TextSample(read_issue_text(title, body), target, START + timedelta(hours=number)))
    return samples


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return TextClassifier().fit(history(120))


def test_it_learns_what_people_decided(fitted: TextClassifier) -> None:
    assert fitted.predict(read_issue_text("rye flour", "")).target == "finance.budgeting"
    assert fitted.predict(read_issue_text("the anchor", "rope")).target == "qa.testing"


def test_evidence_is_what_stands_in_the_text_and_speaks_for_the_target(fitted: TextClassifier) -> None:
    found = fitted.predict(read_issue_text("a fresh loaf", "from the oven"))
    assert {"loaf", "oven"} <= {one.term for one in found.evidence}
    assert all(one.weight > 0 and one.target == found.target for one in found.evidence)


def test_probabilities_add_up(fitted: TextClassifier) -> None:
    for title in ("rye", "anchor", "rye anchor", "nothing known here", ""):
        found = fitted.predict(read_issue_text(title, ""))
        assert sum(found.probabilities.values()) == pytest.approx(1.0)
        assert found.confidence == max(found.probabilities.values()) or len(found.probabilities) > 2


def test_the_same_history_gives_the_same_model(fitted: TextClassifier) -> None:
    again = TextClassifier().fit(list(reversed(history(120))))
    assert np.array_equal(again.model.weights, fitted.model.weights)


def test_a_stored_model_decides_the_same(fitted: TextClassifier) -> None:
    read = TextClassifier.from_bytes(fitted.to_bytes())
    assert read.model.trained_until == fitted.model.trained_until
    for title in ("rye flour", "the anchor and the loaf", "unknown"):
        assert read.predict(read_issue_text(title, "")) == fitted.predict(read_issue_text(title, ""))


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"PK\x03\x04broken"])
def test_damaged_bytes_are_refused(damage: bytes) -> None:
    with pytest.raises(InvalidInputError, match="not a stored text classifier"):
        TextClassifier.from_bytes(damage)


def test_a_cut_off_model_is_refused(fitted: TextClassifier) -> None:
    data = fitted.to_bytes()
    with pytest.raises(InvalidInputError):
        TextClassifier.from_bytes(data[: len(data) // 2])


def test_too_little_history_is_named() -> None:
    with pytest.raises(CannotDetermineError, match="labelled history"):
        TextClassifier().fit(history(6))
    with pytest.raises(CannotDetermineError, match="two targets"):
        TextClassifier().fit(history(60, "qa.testing", "qa.testing"))
    with pytest.raises(CannotDetermineError, match="fitted"):
        TextClassifier().predict(read_issue_text("x", ""))


def test_history_overrules_the_lexicon_when_it_is_long() -> None:
    cold = IssueClassifier()
    taught = IssueClassifier(TextClassifier().fit(history(400, "operations.monitoring", "qa.testing")))
    title = "Oven and dough: budget for flour"
    assert cold.classify(title).agent == "finance"
    found = taught.classify(title)
    assert (found.agent, found.source) == ("operations", "learned")
    assert "dough" in {one.term for one in found.evidence}


def test_what_history_never_saw_can_still_be_found() -> None:
    taught = IssueClassifier(TextClassifier().fit(history(60)))
    assert taught.classify("Ransomware and phishing: data breach, leaked credentials").agent == "security"


def test_labels_still_decide_for_a_taught_classifier() -> None:
    taught = IssueClassifier(TextClassifier().fit(history(60)))
    assert taught.classify("rye flour", "", ["agent:sales"]).agent == "sales"


def test_priorities_are_learned_too() -> None:
    taught = PriorityClassifier(TextClassifier().fit(history(120, "P1", "P3")))
    found = taught.classify("rye crust", "")
    assert (found.priority.name, found.source) == ("P1", "learned")
    assert taught.classify("rye crust", "", ["P0"]).priority.name == "P0"


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=1_200))
def test_a_calibration_never_turns_the_order_around(decisions: list[tuple[float, bool]]) -> None:
    fitted = fit_calibration([one for one, _ in decisions], [right for _, right in decisions])
    applied = [fitted.apply(step / 50) for step in range(51)]
    assert all(0.0 <= one <= 1.0 for one in applied)
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(applied))
    assert Calibration.from_document(fitted.to_document()) == fitted


@pytest.mark.parametrize(("n", "method"), [(MIN_PLATT - 1, "none"), (MIN_PLATT, "platt"), (MIN_ISOTONIC, "isotonic")])
def test_the_method_follows_the_amount_of_data(n: int, method: str) -> None:
    generator = np.random.default_rng(7)
    raw = generator.uniform(size=n)
    assert fit_calibration(list(raw), list(generator.uniform(size=n) < raw)).method == method


@pytest.mark.parametrize("n", [400, 4_000])
def test_calibration_repairs_overconfidence(n: int) -> None:
    generator = np.random.default_rng(11)
    raw = generator.uniform(0.5, 1.0, size=n)
    correct = list(generator.uniform(size=n) < (raw - 0.3))
    half = n // 2
    fitted = fit_calibration(list(raw[:half]), correct[:half])
    before = expected_calibration_error(list(raw[half:]), correct[half:])
    after = expected_calibration_error([fitted.apply(one) for one in raw[half:]], correct[half:])
    # With 200 decisions in ten bins even a perfect confidence shows an error of some hundredths.
    assert before > 0.2
    assert after < before - 0.1


def test_unknown_calibrations_are_refused() -> None:
    for document in ({}, {"method": "magic"}, {"method": "isotonic", "knots_x": [], "knots_y": []}):
        with pytest.raises(ValueError, match="calibration"):
            Calibration.from_document(document)
