"""Support takes reports, questions, wishes and complaints apart and cites what was learned before."""

from datetime import timedelta

import pytest

from bailiwick.packs.operations.departments.desk import Article
from bailiwick.packs.operations.departments.support_answers import answer_inquiry, find_question, serve_knowledge
from bailiwick.packs.operations.departments.support_bugs import take_bug_report
from bailiwick.packs.operations.departments.support_escalations import weigh_escalation
from bailiwick.packs.operations.departments.support_report_parts import read_report
from bailiwick.packs.operations.departments.support_wishes import weigh_request
from tests.unit.operations.departments.desks import NOW, a_desk, a_row, an_issue

REPORT = """Since shopctl 2.4.1 on Ubuntu 22.04 the export fails.

## Steps to reproduce
1. run `shopctl export`
2. wait for the prompt

## Expected behavior
A file is written.

## Actual behavior
Nothing is written.

```
Traceback (most recent call last):
  File "/app/main.py", line 10, in run
    export()
  File "/app/export.py", line 42, in export
    raise ExportError("disk quota exceeded")
shop.errors.ExportError: disk quota exceeded
```
"""


async def test_a_full_report_is_taken_apart() -> None:
    result = await take_bug_report(an_issue("Export fails", REPORT), a_desk())
    assert result.status == "done"
    assert result.data["completeness"] == 100
    assert result.data["versions"] == ["shopctl 2.4.1"]
    assert result.data["systems"] == ["Ubuntu 22.04"]
    assert result.data["errors"][-1] == "shop.errors.ExportError: disk quota exceeded"
    assert result.data["top_frames"] == ["/app/export.py 42 export", "/app/main.py 10 run"]
    assert result.data["steps"] == ["run `shopctl export`", "wait for the prompt"]
    assert (result.data["expected"], result.data["actual"]) == ("A file is written.", "Nothing is written.")
    assert result.missing == ()


async def test_a_thin_report_is_asked_for_its_missing_parts() -> None:
    result = await take_bug_report(an_issue("The export", "Please look at it on Windows 11."), a_desk())
    assert result.status == "cannot_determine"
    assert result.data["completeness"] == 14
    assert result.data["absent"] == [
        "version",
        "error message",
        "stack trace",
        "reproduction steps",
        "expected behaviour",
        "actual behaviour",
    ]
    assert result.missing[0] == "version: add the version you use (for example the output of `--version`)"


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("    at Object.run (/srv/app/run.js:12:7)", "Object.run /srv/app/run.js 12"),
        ("    at /srv/app/run.js:12:7", "/srv/app/run.js 12"),
        ("\tat org.acme.Main.run(Main.java:17)", "org.acme.Main.run Main.java:17"),
        ("\t/src/main.go:33 +0x1d", "/src/main.go 33"),
    ],
)
def test_frames_of_other_languages_are_read(text: str, frame: str) -> None:
    assert [one.value for one in read_report(an_issue("x", f"```\n{text}\n```")).frames] == [frame]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("npm ERR! code ELIFECYCLE", "code ELIFECYCLE"),
        ("java.lang.NullPointerException: order is null", "java.lang.NullPointerException: order is null"),
        ("TypeError: x is not a function", "TypeError: x is not a function"),
        ("connect ECONNREFUSED 127.0.0.1", "ECONNREFUSED"),
        ("error: could not compile", "could not compile"),
    ],
)
def test_errors_of_many_shapes_are_read(text: str, error: str) -> None:
    assert [one.value for one in read_report(an_issue("x", text)).errors] == [error]


async def test_an_earlier_report_of_the_same_is_named_with_what_solved_it() -> None:
    rows = [a_row(7, took_hours=3, title="Export fails with ExportError disk quota"), a_row(8, title="Logo is blurred")]
    desk = a_desk(
        issue_rows=rows,
        texts={"acme/shop#7": f"Export fails\n{REPORT}"},
        resolutions={"acme/shop#7": "Raised the quota of the export volume."},
    )
    result = await take_bug_report(an_issue("Export fails", REPORT), desk)
    assert [one["key"] for one in result.data["duplicates"]] == ["acme/shop#7"]
    assert "possible-duplicate" in result.proposed_labels
    assert "Raised the quota" in (result.proposed_comment or "")


async def test_a_later_report_is_no_original() -> None:
    desk = a_desk(issue_rows=[a_row(200, hours_ago=0.1)], texts={"acme/shop#200": f"Export fails\n{REPORT}"})
    assert (await take_bug_report(an_issue("Export fails", REPORT), desk)).data["duplicates"] == []


QUESTION = "Hello, we moved offices.\nHow can I change the billing address of my invoice?"


async def test_a_question_is_answered_from_what_solved_it_before() -> None:
    rows = [
        a_row(3, took_hours=2, title="Change the billing address on the invoice"),
        a_row(4, title="Change billing address of invoice"),
        a_row(5, took_hours=1, title="Printer on fire"),
    ]
    desk = a_desk(
        issue_rows=rows,
        resolutions={"acme/shop#3": "Settings > Billing > Address.", "acme/shop#5": "Bought a new one."},
    )
    result = await answer_inquiry(an_issue("Billing address", QUESTION), desk)
    assert result.status == "done"
    assert result.data["question"] == "How can I change the billing address of my invoice?"
    assert [one["key"] for one in result.data["solved"]] == ["acme/shop#3"]
    assert "Settings > Billing" in (result.proposed_comment or "")


async def test_a_question_nobody_answered_before_goes_to_a_person() -> None:
    result = await answer_inquiry(an_issue("Billing address", QUESTION), a_desk(issue_rows=[a_row(5, title="Printer")]))
    assert result.status == "cannot_determine"
    assert "a person must answer" in result.missing[0]
    assert result.data["question"] is not None


def test_questions_are_found_without_a_mark_and_not_in_quotes() -> None:
    assert find_question(an_issue("Help", "> Why?\nhow do I log in")) is not None
    assert find_question(an_issue("Help", "> Why is that so?")) is None


async def test_recurring_questions_without_an_article_are_gaps() -> None:
    asked = [
        a_row(number, title=f"How to reset two factor login {word}", operation="customer-inquiry")
        for number, word in enumerate(("phone", "device", "code"))
    ]
    asked += [
        a_row(10 + number, title=f"Export invoices as csv {word}", operation="customer-inquiry")
        for number, word in enumerate(("file", "list", "sheet"))
    ]
    article = Article("a1", "Export invoices", "Export invoices as csv under Billing.", 0.0, url="/help/export")
    result = await serve_knowledge(an_issue("Export invoices csv"), a_desk(issue_rows=asked, article_rows=[article]))
    assert [one["article_id"] for one in result.data["articles"]] == ["a1"]
    (gap,) = result.data["gaps"]
    assert gap["count"] == 3
    assert {"reset", "factor", "login"} <= set(gap["words"])


async def test_without_articles_and_questions_both_are_asked_for() -> None:
    result = await serve_knowledge(an_issue("Anything"), a_desk())
    assert result.status == "cannot_determine"
    assert len(result.missing) == 2


async def test_a_wish_is_read_and_its_demand_counted() -> None:
    body = "As a warehouse clerk, I want to print labels in bulk, so that packing takes less time."
    rows = [
        a_row(1, title="Print labels in bulk", author="eve", operation="feature-requests", hours_ago=900),
        a_row(2, title="Bulk printing of labels, print labels", author="eve", operation="feature-requests"),
        a_row(3, title="Labels print in bulk is broken", author="joe", operation="bug-reports"),
        a_row(4, title="Dark mode", author="kim", operation="feature-requests"),
    ]
    result = await weigh_request(an_issue("Print labels in bulk", body), a_desk(issue_rows=rows))
    assert (result.data["who"], result.data["what"], result.data["why"]) == (
        "warehouse clerk",
        "print labels in bulk",
        "packing takes less time",
    )
    demand = result.data["demand"]
    assert (demand["requests"], demand["people"], demand["open"]) == (3, 2, 3)
    assert demand["first_asked_at"] == (NOW - timedelta(hours=900)).isoformat()


async def test_a_wish_without_a_reason_is_asked_for_it() -> None:
    result = await weigh_request(an_issue("Add dark mode", "It would be nice to have a dark theme."), a_desk())
    assert result.status == "done"
    assert (result.data["what"], result.data["why"]) == ("have a dark theme", None)
    assert result.missing[0].startswith("why it is wanted")
    nothing = await weigh_request(an_issue("Thoughts", "Hello."), a_desk())
    assert nothing.status == "cannot_determine"


def a_comment(author: str, hours_ago: float, body: str = "Any update?") -> dict[str, object]:
    return {"author": author, "body": body, "created_at": NOW - timedelta(hours=hours_ago)}


async def test_strain_is_counted_from_cues() -> None:
    issue = an_issue(
        "Production is down",
        "This is unacceptable, we will cancel our contract.",
        created_at=NOW - timedelta(days=5),
        comments=(a_comment("agent", 100), a_comment("dana", 60), a_comment("dana", 30)),
    )
    row = a_row(100, hours_ago=120, reopened_count=1, deadline_at=NOW - timedelta(hours=100))
    earlier = [
        a_row(number, hours_ago=24 * 10 * number, author="dana", department="support") for number in (2, 3, 4, 12)
    ]
    result = await weigh_escalation(issue, a_desk(issue_rows=[row, *earlier]))
    assert result.data["reasons"] == ["no answer", "business is stopped", "may leave"]
    assert (result.data["unanswered_messages"], result.data["waiting_hours"]) == (2, 60.0)
    assert [one["key"] for one in result.data["earlier_issues"]] == ["acme/shop#2", "acme/shop#3", "acme/shop#4"]
    # 1 + 2 + 2 reasons, 2 SLA, 1 reopened, 1 unanswered, 1 waiting, 1 earlier, 1 displeasure
    assert (result.data["points"], result.data["level"]) == (12, 3)


async def test_a_calm_case_has_a_low_level() -> None:
    issue = an_issue("Question", "Could somebody escalate this?", created_at=NOW - timedelta(hours=2))
    result = await weigh_escalation(issue, a_desk(issue_rows=[a_row(100, hours_ago=2)]))
    assert (result.data["points"], result.data["level"]) == (1, 1)


async def test_no_cue_means_the_reason_is_asked_for() -> None:
    result = await weigh_escalation(an_issue("Hello", "Thanks."), a_desk())
    assert result.status == "cannot_determine"
    assert result.missing[0].startswith("the reason for the escalation")
