"""Decisions scored against history, without looking ahead."""

import csv
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailiwick.connectors.issues import IssueComment, IssueRecord
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.kernel.loading import load
from bailiwick.packs.operations.backtest import BacktestReport, backtest
from bailiwick.packs.operations.backtest_duplicates import known_original
from bailiwick.packs.operations.scores import Decision, score_decisions

START = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS = (
    ("The invoice of supplier {} was paid twice", "finance/expense-tracking", "P1"),
    ("Test plan number {} for the release candidate", "qa/testing", "P2"),
    ("Phishing mail number {} reported", "security/threat-detection", "P0"),
)


def record(number: int, *, title: str = "", labels: tuple[str, ...] = (), **more: object) -> IssueRecord:
    text, label, priority = TOPICS[number % 3]
    return IssueRecord.model_validate(
        {
            "source": "test",
            "repository": "a/b",
            "number": number,
            "title": title or text.format(number),
            "labels": labels or (label, priority),
            "created_at": START + timedelta(hours=number),
            "state": "closed",
            "closed_at": START + timedelta(hours=number + 2),
            **more,
        }
    )


def test_labels_are_hidden_and_decisions_come_from_text() -> None:
    report = backtest([record(number) for number in range(90)])
    agent = report.target("agent")
    assert (agent.trained_on, agent.tested_on) == (63, 27)
    assert agent.decider("lexicon").accuracy == 1.0
    assert agent.decider("blended").accuracy == 1.0
    assert agent.base_rate == pytest.approx(1 / 3, abs=0.01)
    useless = backtest([record(number, title="hello") for number in range(90)])
    assert useless.target("agent").decider("blended").accuracy <= 0.5


def test_training_never_sees_what_came_later() -> None:
    # The meaning of a word turns around at the cut: a model that had peeked would know.
    records = [
        record(number, title="alpha" if number % 2 else "omega", labels=(_flipped(number),)) for number in range(100)
    ]
    report = backtest(records).target("agent")
    assert report.trained_until < report.tested_from
    assert report.decider("history").accuracy == 0.0


def _flipped(number: int) -> str:
    is_alpha = bool(number % 2) == (number < 70)
    return "agent:sales" if is_alpha else "agent:qa"


def test_the_order_of_records_does_not_matter() -> None:
    records = [record(number) for number in range(60)]
    assert backtest(records).to_json() == backtest(reversed(records)).to_json()


def test_outcomes_unknown_at_the_cut_are_not_learned() -> None:
    records = [
        record(number, attributes={"Resolution": "Fixed" if number % 2 else "Done"}, closed_at=_closed(number))
        for number in range(100)
    ]
    report = backtest(records).target("Resolution")
    assert (report.trained_on, report.not_yet_known) == (50, 20)


def _closed(number: int) -> datetime | None:
    return START + timedelta(hours=number + 1) if number < 50 else START + timedelta(days=900)


def test_what_the_history_lacks_is_named() -> None:
    bare = [record(number, labels=("whatever",)) for number in range(30)]
    report = backtest(bare)
    assert {one.target for one in report.undetermined} == {
        "agent",
        "operation",
        "priority",
        "Resolution",
        "final_classification",
    }
    assert all("labelled history" in one.missing for one in report.undetermined)
    with pytest.raises(CannotDetermineError, match="labelled history"):
        report.target("agent")
    assert report.duplicates.recall_missing
    assert report.duplicates.marked_missing
    with pytest.raises(CannotDetermineError, match="issue history"):
        backtest([])
    with pytest.raises(InvalidInputError):
        backtest(bare, train_fraction=1.0)


def test_pull_requests_are_left_out() -> None:
    assert backtest([record(number, is_pull_request=number >= 30) for number in range(40)]).records == 30


def test_the_report_is_json() -> None:
    document = json.loads(backtest([record(number) for number in range(60)]).to_json())
    assert document["targets"][0]["target"] == "agent"
    assert len(document["targets"][0]["deciders"][0]["thresholds"]) == 20


def test_known_duplicates_are_looked_for_where_people_said_so() -> None:
    says_so = (IssueComment(body="Closing, duplicate of #7, thanks"),)
    assert known_original(record(9, comments=says_so)) == "a/b#7"
    assert known_original(record(9, comments=(IssueComment(body="Duplicate of other/repo#12"),))) == "other/repo#12"
    assert known_original(record(9, attributes={"duplicate_of": "#3"})) == "a/b#3"
    assert known_original(record(9, comments=(IssueComment(body="see #7"),))) is None
    records = [record(number) for number in range(60)]
    records.append(record(61, title=records[12].title, comments=(IssueComment(body="duplicate of #12"),)))
    duplicates = backtest(records).duplicates
    assert duplicates.known_pairs == 1
    assert duplicates.recall is not None
    assert duplicates.recall[0].recall == 1.0


def test_scores_of_a_small_case_by_hand() -> None:
    decisions = [Decision("a", 0.9, "a"), Decision("a", 0.6, "b"), Decision("b", 0.4, "b"), Decision("b", 0.2, "a")]
    score = score_decisions("x", decisions)
    assert (score.accuracy, score.macro_f1) == (0.5, 0.5)
    at = {one.threshold: one for one in score.thresholds}
    assert (at[0.5].coverage, at[0.5].precision) == (0.5, 0.5)
    assert (at[0.7].coverage, at[0.7].precision) == (0.25, 1.0)
    assert (at[0.95].decided, at[0.95].precision) == (0, None)
    assert score.calibration_error == pytest.approx((0.1 + 0.6 + 0.6 + 0.2) / 4, abs=1e-4)


def test_on_real_issues_of_npm_projects(real_data: Path) -> None:
    report = backtest(_npm(real_data))
    found = report.target("final_classification")
    assert found.decider("history").macro_f1 > found.base_macro_f1 + 0.15
    assert report.target("agent").decider("blended").accuracy >= 0.7
    assert report.duplicates.recall_missing


def test_on_real_reports_of_hadoop(real_data: Path) -> None:
    records = _hadoop(real_data)
    load("sklearn.linear_model")
    all_threads, this_thread = time.process_time(), time.thread_time()
    report = backtest(records)
    beside = (time.process_time() - all_threads) - (time.thread_time() - this_thread)
    assert beside < 1, "learning takes one core and leaves the others to tasks"
    priority = report.target("priority")
    blended = priority.decider("blended")
    assert blended.macro_f1 > priority.base_macro_f1 + 0.04
    assert blended.calibration_error < 0.12
    assert _precision(report, 0.7) > priority.base_rate
    assert report.duplicates.marked is not None


def _precision(report: BacktestReport, threshold: float) -> float:
    scores = report.target("priority").decider("blended").thresholds
    return next(one.precision or 0.0 for one in scores if one.threshold == threshold)


def _npm(folder: Path) -> list[IssueRecord]:
    with gzip.open(folder / "issues_github_npm" / "issues_closed_early_two_thirds.jsonl.gz", "rt") as lines:
        return [_npm_record(json.loads(line)) for line in lines]


def _npm_record(row: dict[str, object]) -> IssueRecord:
    labels = row["labels"]
    assert isinstance(labels, list)
    return IssueRecord.model_validate(
        {
            "source": "github",
            "repository": f"{row['owner']}/{row['repo']}",
            "number": row["number"],
            "title": row["title"],
            "body": row["body"] or "",
            "labels": [label["name"] for label in labels],
            "state": row["state"],
            "created_at": row["created_at"],
            "closed_at": row["closed_at"],
            "attributes": {"final_classification": row["final_classification"]},
        }
    )


def _hadoop(folder: Path) -> list[IssueRecord]:
    with gzip.open(folder / "issues_hadoop_text" / "hadoop_bugs_early_two_thirds.csv.gz", "rt", newline="") as lines:
        return [_hadoop_record(row) for row in csv.DictReader(lines)]


def _hadoop_record(row: dict[str, str]) -> IssueRecord:
    return IssueRecord.model_validate(
        {
            "source": "csv",
            "repository": "hadoop",
            "number": int(row["Issue id"]),
            "title": row["Summary"],
            "body": row["Description"],
            "state": "closed" if row["Resolved"] else "open",
            "created_at": _jira_time(row["Created"]),
            "closed_at": _jira_time(row["Resolved"]) if row["Resolved"] else None,
            "attributes": {name: row[name] for name in ("Priority", "Resolution") if row[name]},
        }
    )


def _jira_time(text: str) -> datetime:
    return datetime.strptime(text, "%d/%b/%y %H:%M").replace(tzinfo=UTC)
