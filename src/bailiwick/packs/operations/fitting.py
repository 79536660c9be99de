"""Fits a classifier on the issues that people labelled; loaded when there is one to fit, for it needs scikit-learn."""

from collections.abc import Sequence

from bailiwick.packs.operations.classification import label_target, screen_issue
from bailiwick.packs.operations.classification_learned import MAX_SAMPLES, TextClassifier, TextSample
from bailiwick.packs.operations.learning import Purpose
from bailiwick.packs.operations.priority import priority_of_label
from bailiwick.storage import Row

__all__ = ["MAX_SAMPLES", "fit"]


def fit(purpose: Purpose, rows: Sequence[Row]) -> TextClassifier:
    """Return a classifier fitted on issues as (title, body, labels, opened_at); takes seconds for thousands.

    Raises:
        CannotDetermineError: too few of them have a label that names a target.
    """
    samples: list[TextSample] = []
    for row in rows:
        target = _target(purpose, row["labels"])
        if target is not None:
            # What gave orders to an automated reader teaches nothing either.
            text = screen_issue(row["title"], row["body"] or "").text
            samples.append(TextSample(text, target, row["opened_at"]))
    return TextClassifier().fit(samples)


def _target(purpose: Purpose, labels: Sequence[str]) -> str | None:
    if purpose == "department":
        return label_target(labels)
    levels = [level for label in labels if (level := priority_of_label(label)) is not None]
    return min(levels).name if levels else None
