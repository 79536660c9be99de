"""Bodies are taken apart with their line numbers; periods are read as meant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.departments.body import Line, read_body
from bailiwick.packs.operations.departments.period import read_period
from bailiwick.packs.operations.departments.work import quoted
from tests.unit.operations.departments.desks import NOW

BODY = """Intro line

## Steps to reproduce
1. open it
2. close it

**Expected behaviour:** it stays closed

```python
x = 1
```
~~~
still code ``` here
~~~
after"""


def test_sections_blocks_and_prose_keep_their_lines() -> None:
    body = read_body(BODY)
    steps = body.find_section("steps")
    assert steps is not None
    assert (steps.items, steps.source) == (("open it", "close it"), "issue body, line 4")
    assert [(block.language, block.text, block.first_line) for block in body.blocks] == [
        ("python", "x = 1", 10),
        ("", "still code ``` here", 13),
    ]
    expected = body.find_section("expected behaviour")
    assert expected is not None
    assert expected.text == "it stays closed"
    assert body.prose[-1] == Line("issue body, line 15", "after")


@given(st.text(alphabet="`~#*\n ab:-|.1", max_size=300))
def test_any_text_is_taken_apart_without_losing_a_line(text: str) -> None:
    body = read_body(text)
    fences = sum(2 for _ in body.blocks)
    inside = sum(len(block.text.split("\n")) if block.text else 0 for block in body.blocks)
    assert len(body.prose) + inside + fences >= len(text.split("\n")) - len(body.blocks)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("audit the last 7 days", NOW - timedelta(days=7), NOW),
        ("what happened last week?", NOW - timedelta(days=7), NOW),
        ("from 2026-11-01 to 2026-11-15", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)),
        ("since 2026-10-01", datetime(2026, 10, 1, tzinfo=UTC), NOW),
        ("report for October 2026", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        ("nothing named", NOW - timedelta(days=30), NOW),
        ("from 2026-13-01 to 2026-14-01", NOW - timedelta(days=30), NOW),
    ],
)
def test_periods_are_read_as_meant(text: str, since: datetime, until: datetime) -> None:
    period = read_period([Line("issue title", text)], NOW, default_days=30)
    assert (period.since, period.until) == (since, until)


def test_quoted_text_is_inert() -> None:
    assert quoted("hi @all `rm` \n# head\x00") == "`hi @all 'rm' # head`"
    assert len(quoted("x" * 500)) == 122
