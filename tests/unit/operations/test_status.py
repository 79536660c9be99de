"""The status of an issue: what may follow what."""

import pytest

from bailiwick.packs.operations.status import FOLLOWS, STATUSES, IssueStatus, sources_of


def test_only_a_reopening_leads_out_of_done() -> None:
    assert FOLLOWS["done"] == {"todo"}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_can_be_reached_and_left(status: IssueStatus) -> None:
    assert FOLLOWS[status]
    assert any(status in after for after in FOLLOWS.values())


@pytest.mark.parametrize("status", STATUSES)
def test_done_is_within_two_moves_of_every_status(status: IssueStatus) -> None:
    assert status == "done" or "done" in FOLLOWS[status]


@pytest.mark.parametrize("status", STATUSES)
def test_a_note_that_changes_nothing_is_allowed_everywhere(status: IssueStatus) -> None:
    assert status in sources_of(status)


def test_work_begins_only_where_somebody_may_take_it_up() -> None:
    assert sources_of("in-progress") == ["todo", "in-progress", "review", "blocked", "failed", "error"]
