"""Scores the pack's decisions against an organization's closed history, silently and without looking ahead.

Records are ordered by creation. The first ``train_fraction`` may be learned
from, the rest is decided with labels and outcomes hidden and then compared.
Outcomes (resolution, classification) of records that were still open at the
cut are not used for learning: nobody knew them then. Titles and bodies may have
been edited after opening; the data does not say, so the figures can be a
little too good.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import orjson

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.packs.operations.backtest_duplicates import DuplicateReport, backtest_duplicates
from bailiwick.packs.operations.classification import IssueClassifier, ScreenedText, label_target, screen_issue
from bailiwick.packs.operations.classification_learned import TextClassifier, TextSample
from bailiwick.packs.operations.priority import PriorityClassifier, priority_of_label, priority_of_value
from bailiwick.packs.operations.scores import Decision, DecisionScore, score_decisions

TRAIN_FRACTION = 0.7
MIN_RECORDS = 2
MIN_TEST = 10
"""Labelled test records below which a score would say nothing."""

Truth = Callable[[IssueRecord], str | None]
Decide = Callable[[ScreenedText], tuple[str, float]]


@dataclass(frozen=True)
class Undetermined:
    """A target that this history cannot score, and what is missing."""

    target: str
    missing: str


@dataclass(frozen=True)
class TargetReport:
    """How each way of deciding one target did.

    ``base_rate`` is the share right of always answering ``majority``, the most usual
    answer of the training part, and ``base_macro_f1`` its macro F1. ``not_yet_known``
    counts training records left out because their outcome came after the cut.
    """

    target: str
    trained_on: int
    tested_on: int
    not_yet_known: int
    trained_until: datetime
    tested_from: datetime
    majority: str
    base_rate: float
    base_macro_f1: float
    deciders: tuple[DecisionScore, ...]
    notes: tuple[str, ...] = ()

    def decider(self, name: str) -> DecisionScore:
        """Return the score of one way of deciding (``lexicon``, ``history``, ``blended``).

        Raises:
            KeyError: it was not tried on this target.
        """
        for score in self.deciders:
            if score.decider == name:
                return score
        raise KeyError(name)


@dataclass(frozen=True)
class BacktestReport:
    """What a backtest found; targets that could not be scored say what is missing."""

    records: int
    train_fraction: float
    cut_at: datetime
    targets: tuple[TargetReport, ...]
    undetermined: tuple[Undetermined, ...]
    duplicates: DuplicateReport

    def target(self, name: str) -> TargetReport:
        """Return the report of one target.

        Raises:
            CannotDetermineError: the history could not score it.
        """
        for report in self.targets:
            if report.target == name:
                return report
        missing = next((one.missing for one in self.undetermined if one.target == name), f"a target named {name!r}")
        raise CannotDetermineError(missing)

    def to_json(self) -> bytes:
        """Return the report as JSON."""
        return orjson.dumps(self)

    def to_document(self) -> dict[str, object]:
        """Return the report as plain JSON values."""
        return cast("dict[str, object]", orjson.loads(self.to_json()))


@dataclass(frozen=True)
class _Item:
    record: IssueRecord
    screened: ScreenedText


@dataclass(frozen=True)
class _Target:
    name: str
    truth: Truth
    missing: str
    is_outcome: bool = False


def backtest(
    records: Iterable[IssueRecord],
    *,
    train_fraction: float = TRAIN_FRACTION,
    outcome_attributes: Sequence[str] = ("Resolution", "final_classification"),
) -> BacktestReport:
    """Decide the later part of a history from the earlier and compare with what people decided.

    Targets: ``agent`` and ``operation`` (implied by people's labels), ``priority``
    (the ``Priority`` attribute or a priority label), each of ``outcome_attributes``,
    and duplicates. Pull requests are left out. Deterministic; writes nothing.

    Raises:
        CannotDetermineError: there are fewer than 2 issues.
        InvalidInputError: ``train_fraction`` is not between 0 and 1.
    """
    if not 0.0 < train_fraction < 1.0:
        raise InvalidInputError("train_fraction lies between 0 and 1")
    ordered = sorted((one for one in records if not one.is_pull_request), key=lambda one: (one.created_at, one.key))
    if len(ordered) < MIN_RECORDS:
        raise CannotDetermineError("issue history")
    items = [_Item(record, screen_issue(record.title, record.body)) for record in ordered]
    cut_at = ordered[min(len(ordered) - 1, round(len(ordered) * train_fraction))].created_at
    reports: list[TargetReport] = []
    undetermined: list[Undetermined] = []
    for target in _targets(outcome_attributes):
        try:
            reports.append(_backtest_target(target, items, cut_at))
        except CannotDetermineError as error:
            undetermined.append(Undetermined(target.name, error.missing))
    duplicates = backtest_duplicates([(item.record, item.screened.text) for item in items], cut_at)
    return BacktestReport(len(ordered), train_fraction, cut_at, tuple(reports), tuple(undetermined), duplicates)


def _targets(outcome_attributes: Sequence[str]) -> list[_Target]:
    targets = [
        _Target("agent", _agent_truth, "labelled history (no label names an agent)"),
        _Target("operation", _operation_truth, "labelled history (no label names an operation)"),
        _Target("priority", _priority_truth, "labelled history (no priority label or Priority attribute)"),
    ]
    for name in outcome_attributes:
        missing = f"labelled history (no {name} attribute)"
        targets.append(_Target(name, _attribute_truth(name), missing, is_outcome=True))
    return targets


def _backtest_target(target: _Target, items: Sequence[_Item], cut_at: datetime) -> TargetReport:
    labelled = [(item, truth) for item in items if (truth := target.truth(item.record)) is not None]
    if not labelled:
        raise CannotDetermineError(target.missing)
    earlier = [pair for pair in labelled if pair[0].record.created_at < cut_at]
    test = [pair for pair in labelled if pair[0].record.created_at >= cut_at]
    train = [pair for pair in earlier if not target.is_outcome or _was_closed(pair[0].record, cut_at)]
    if len(test) < MIN_TEST or not train:
        raise CannotDetermineError(
            f"labelled history ({len(train)} labelled issues before the cut and {len(test)} after; "
            f"at least 1 and {MIN_TEST} are needed)"
        )
    majority, _ = Counter(truth for _, truth in train).most_common(1)[0]
    base = score_decisions("majority", [Decision(majority, 1.0, truth) for _, truth in test])
    deciders, notes = _deciders(target, train)
    scores = [
        score_decisions(name, [Decision(*decide(item.screened), actual=truth) for item, truth in test])
        for name, decide in deciders.items()
    ]
    return TargetReport(
        target=target.name,
        trained_on=len(train),
        tested_on=len(test),
        not_yet_known=len(earlier) - len(train),
        trained_until=train[-1][0].record.created_at,
        tested_from=test[0][0].record.created_at,
        majority=majority,
        base_rate=base.accuracy,
        base_macro_f1=base.macro_f1,
        deciders=tuple(scores),
        notes=notes,
    )


def _deciders(target: _Target, train: Sequence[tuple[_Item, str]]) -> tuple[dict[str, Decide], tuple[str, ...]]:
    learned, notes = _fit(target, train)
    deciders: dict[str, Decide] = {}
    if target.name in _BLENDED:
        deciders["lexicon"] = _BLENDED[target.name](None)
    if learned is not None:
        deciders["history"] = _by_history(learned, target.name)
        if target.name in _BLENDED:
            deciders["blended"] = _BLENDED[target.name](learned)
    if not deciders:
        raise CannotDetermineError(notes[0])
    return deciders, notes


def _fit(target: _Target, train: Sequence[tuple[_Item, str]]) -> tuple[TextClassifier | None, tuple[str, ...]]:
    # An agent is learned through its operations, which is what the classifier is fitted on when it runs.
    truth = _finest_truth if target.name == "agent" else target.truth
    samples = [
        TextSample(item.screened.text, found, item.record.created_at)
        for item, _ in train
        if (found := truth(item.record)) is not None
    ]
    try:
        return TextClassifier().fit(samples), ()
    except CannotDetermineError as error:
        return None, (error.missing,)


def _by_history(learned: TextClassifier, target: str) -> Decide:
    def decide(screened: ScreenedText) -> tuple[str, float]:
        prediction = learned.predict(screened.text)
        if target != "agent":
            return prediction.target, prediction.confidence
        totals: Counter[str] = Counter()
        for name, probability in prediction.probabilities.items():
            totals[name.split(".", 1)[0]] += probability  # pyright: ignore[reportArgumentType] - Counter adds floats
        agent = max(totals, key=lambda name: (totals[name], name))
        return agent, min(1.0, float(totals[agent]))

    return decide


def _agent_decider(learned: TextClassifier | None) -> Decide:
    classifier = IssueClassifier(learned)

    def decide(screened: ScreenedText) -> tuple[str, float]:
        found = classifier.classify_text(screened)
        return found.agent, found.confidence

    return decide


def _operation_decider(learned: TextClassifier | None) -> Decide:
    classifier = IssueClassifier(learned)

    def decide(screened: ScreenedText) -> tuple[str, float]:
        found = classifier.classify_text(screened)
        return f"{found.agent}.{found.operation}" if found.operation else found.agent, found.operation_confidence

    return decide


def _priority_decider(learned: TextClassifier | None) -> Decide:
    classifier = PriorityClassifier(learned)

    def decide(screened: ScreenedText) -> tuple[str, float]:
        found = classifier.classify_text(screened)
        return found.priority.name, found.confidence

    return decide


_BLENDED: Mapping[str, Callable[[TextClassifier | None], Decide]] = {
    "agent": _agent_decider,
    "operation": _operation_decider,
    "priority": _priority_decider,
}


def _agent_truth(record: IssueRecord) -> str | None:
    target = label_target(record.labels)
    return None if target is None else target.split(".", 1)[0]


def _operation_truth(record: IssueRecord) -> str | None:
    target = label_target(record.labels)
    return target if target is not None and "." in target else None


def _finest_truth(record: IssueRecord) -> str | None:
    return label_target(record.labels)


def _priority_truth(record: IssueRecord) -> str | None:
    stated = record.attributes.get("Priority") or record.attributes.get("priority")
    priority = priority_of_value(stated) if stated else None
    if priority is None:
        priority = min((one for one in map(priority_of_label, record.labels) if one is not None), default=None)
    return None if priority is None else priority.name


def _attribute_truth(name: str) -> Truth:
    def truth(record: IssueRecord) -> str | None:
        return record.attributes.get(name) or None

    return truth


def _was_closed(record: IssueRecord, cut_at: datetime) -> bool:
    return record.closed_at is not None and record.closed_at < cut_at
