"""Every operation of the five departments exists, works on any text in time, and never answers with a template."""

import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode
from bailiwick.packs.operations.departments import OPERATIONS
from bailiwick.packs.operations.departments.desk import AgentRow, Attempt, EventRow, Member
from bailiwick.packs.operations.departments.memory_desk import MemoryDesk
from bailiwick.packs.operations.departments.work import WorkResult
from bailiwick.packs.operations.roster import AGENTS
from tests.unit.operations.departments.desks import NOW, a_desk, a_row, an_issue

ALL = [(kind, name) for kind, operations in OPERATIONS.items() for name in operations]


def full_desk() -> MemoryDesk:
    rows = [
        a_row(
            number,
            hours_ago=20 * number,
            took_hours=None if number % 3 else 10,
            department="support",
            operation="customer-inquiry",
            author="dana",
        )
        for number in range(1, 60)
    ]
    return a_desk(
        issue_rows=[*rows, a_row(100, hours_ago=1, deadline_at=NOW + timedelta(hours=3))],
        agent_rows=[AgentRow("a1", "A", "support", 4, 2)],
        attempt_rows=[Attempt("a1", "support", "bug-reports", 60, True, NOW)] * 8,
        event_rows=[
            EventRow(f"e{number}", "issue.opened", NOW - timedelta(hours=number), "ann") for number in range(50)
        ],
        member_rows=[Member("ann", can_approve=True)],
    )


def check(result: WorkResult, name: str) -> None:
    assert result.operation == name
    assert result.summary.strip()
    assert (result.status == "done") or result.missing
    assert "nan" not in result.summary.lower().split()
    encode(result, limit=MAX_RESULT_BYTES)


@pytest.mark.parametrize("kind", sorted(OPERATIONS))
def test_the_operations_are_those_of_the_roster(kind: str) -> None:
    assert set(OPERATIONS[kind]) == {operation.name for operation in AGENTS[kind].operations}


@pytest.mark.parametrize(("kind", "name"), ALL)
async def test_an_empty_issue_of_an_empty_organization_is_never_answered(kind: str, name: str) -> None:
    result = await OPERATIONS[kind][name](an_issue("Untitled", author=None), a_desk())
    check(result, name)
    assert result.status == "cannot_determine"
    assert all(len(need) > 15 for need in result.missing)


@pytest.mark.parametrize(("kind", "name"), ALL)
async def test_the_same_issue_twice_gives_the_same_result(kind: str, name: str) -> None:
    issue = an_issue("How do I export?", "It fails with ValueError: bad row 7 in shop 1.2.3 for 20 users.")
    first = await OPERATIONS[kind][name](issue, full_desk())
    check(first, name)
    assert first == await OPERATIONS[kind][name](issue, full_desk())


MENTIONS = """I want @admin because @admin.
As a @admin, I need @admin so that @admin. All @admin users down. How is @admin?
@admin: 3 ms (budget 1 ms)
@adminError: see @admin
User: @admin
Resource: @admin
Reason: @admin
| @admin | velocity |
|---|---|
| 1 | 2 |
| 3 | 4 |

## Steps
1. call @admin

## Success criteria
@admin smiles

```xml
<testsuite><testcase name="@admin"/><testcase name="@admin"><failure/></testcase></testsuite>
```
"""


@pytest.mark.parametrize(("kind", "name"), ALL)
async def test_no_comment_mentions_whom_the_text_mentions(kind: str, name: str) -> None:
    rows = [
        a_row(100, priority="P0"),
        a_row(7, took_hours=1, title=MENTIONS[:200], department="@admin", author="@admin"),
    ]
    desk = a_desk(
        issue_rows=[*rows, a_row(8, title=MENTIONS[:200], department="@admin", deadline_at=NOW - timedelta(hours=2))],
        resolutions={"acme/shop#7": "ask @admin"},
        event_rows=[EventRow("e", "@admin", NOW - timedelta(hours=1), "@admin")],
    )
    result = await OPERATIONS[kind][name](an_issue(MENTIONS[:200].replace("\n", " "), MENTIONS, author="@admin"), desk)
    outside_code_spans = "".join((result.proposed_comment or "").split("`")[::2])
    assert "@admin" not in outside_code_spans


_PIECES = st.sampled_from(
    [
        "```python\n",
        "```\n",
        "```xml\n<a>",
        "| a | b |\n|--|--|\n| 1 | 2 |\n",
        "## Steps\n",
        "1. do\n",
        "```csv\na,b\n1,2\n",
        "last 9999 years ",
        "99999999999999 users ",
        "2026-99-99 ",
        "for 999 months ",
        "\ud7ff",
        "CVSS:3.1/AV:N ",
        "for @x ",
        "next 999 weeks ",
        "velocity >= 1 ",
        "[1e308,-1e308]\n",
        "1e999 ",
    ]
)


@pytest.mark.parametrize(("kind", "name"), ALL)
@given(body=st.lists(_PIECES | st.text(max_size=30), max_size=15).map("".join))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_breaks_an_operation(kind: str, name: str, body: str) -> None:
    # The door refuses U+0000, which the database cannot hold.
    result = await OPERATIONS[kind][name](an_issue("Title", body.replace("\x00", "")), full_desk())
    check(result, name)


HOSTILE = {
    "letters": "a" * 200_000,
    "spaces": " " * 200_000 + "x",
    "digits": "1" * 200_000,
    "dots": "a." * 100_000,
    "dashes": "-" * 200_000,
    "pipes": "|" * 200_000,
    "equals": "=" * 200_000,
    "quotes": "'\"" * 100_000,
    "words": "at least as a x I want y so that because for " * 4_500,
    "commands": "curl wget powershell base64 nc rm -r " * 5_500,
    "secrets": "password=token=secret:" * 9_000,
    "versions": "v1.2.3-" * 28_000,
    "mails": "a@a." * 50_000,
    "numbers": "1,234,567 " * 20_000,
    "brackets": "[" * 200_000,
    "markup": "<a " * 66_000,
    "lines": "x: 1 ms\n" * 25_000,
    "items": "1. a: b\n" * 25_000,
    "fences": "```\n" * 50_000,
    "asterisks": "**" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_text_costs_time_linear_in_its_length(text: str) -> None:
    issue: IssueRecord = an_issue("Title", text)
    desk = a_desk(issue_rows=[a_row(100, priority="P0")])
    for kind, name in ALL:
        begun = time.process_time()
        await OPERATIONS[kind][name](issue, desk)
        # Backtracking would take minutes; a slow machine takes a second.
        assert time.process_time() - begun < 5, f"{kind}/{name}"
