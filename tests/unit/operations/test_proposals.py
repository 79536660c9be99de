"""What a result asks to have done outside."""

from typing import Any

import pytest

from bailiwick.packs.operations.assignments import WorkReport
from bailiwick.packs.operations.proposals import ADD_LABELS, COMMENT, STANDS, Proposals, effects_of

KEY = "acme/shop#7"
ISSUE = {"repository": "acme/shop", "number": 7}


def report(**changes: Any) -> WorkReport:
    return WorkReport.model_validate(
        {
            "result_id": "r", "operation": "bug-reports", "status": "done", "summary": "a crash in the basket",
            "missing": (), "gates": [], "is_passed": None, **changes,
        }
    )  # fmt: skip


def proposed(**changes: Any) -> Proposals:
    found = Proposals.of(KEY, "github", report(**changes), is_done=False)
    assert found is not None
    return found


def test_labels_come_before_the_comment_and_both_say_why():
    labels, comment = effects_of(proposed(comment="Please add the version.", labels=("needs-info", "security")))
    assert (labels.tool, labels.arguments) == (ADD_LABELS, {**ISSUE, "labels": ["needs-info", "security"]})
    assert (comment.tool, comment.arguments) == (COMMENT, {**ISSUE, "body": "Please add the version."})
    assert labels.reason == comment.reason == "bug-reports of acme/shop#7: a crash in the basket"


def test_of_a_comment_it_is_expected_that_it_is_still_there_after_a_day():
    (comment,) = effects_of(proposed(comment="Please add the version."))
    assert comment.expectation is not None
    assert (comment.expectation.check, comment.expectation.after_seconds) == (STANDS, 86_400)


def test_what_stands_already_is_not_said_again():
    wanted = proposed(comment="Please add the version.", labels=("needs-info", "security"))
    said = [
        {"tool": COMMENT, "arguments": {**ISSUE, "body": "Please add the version."}},
        {"tool": ADD_LABELS, "arguments": {**ISSUE, "labels": ["needs-info"]}},
    ]
    (labels,) = effects_of(wanted, said)
    assert labels.arguments == {**ISSUE, "labels": ["security"]}


def test_another_comment_is_another():
    said = [{"tool": COMMENT, "arguments": {**ISSUE, "body": "Please add the version."}}]
    assert len(effects_of(proposed(comment="Thank you."), said)) == 1


@pytest.mark.parametrize(("is_done", "is_anything"), [(True, True), (False, False)])
def test_a_result_that_asks_for_nothing_still_promises_that_its_issue_rests(is_done: bool, is_anything: bool):
    assert (Proposals.of(KEY, "github", report(), is_done=is_done) is not None) == is_anything


def test_a_long_summary_still_fits_a_reason():
    (labels,) = effects_of(proposed(summary="x" * 5000, labels=("needs-info",)))
    assert len(labels.reason) == 2000
