"""The lifecycle on single issues: closing, changing, reopening, holding, and a worker that dies in the middle."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.connectors import facts
from bailiwick.events import NewEvent
from bailiwick.installation import Installation
from bailiwick.kernel.errors import NotFoundError
from bailiwick.packs.operations.learning import refit
from bailiwick.packs.operations.reader import IssueFilterBy
from tests.integration.operations.conftest import Office, an_issue, opened, settings_of
from tests.support.engine import until

REPORT = "Report: open issues by department"


async def test_a_question_the_record_answers_is_done(office: Office) -> None:
    async with office.installation.run_worker():
        await office.publish([opened(an_issue(1, REPORT, "Last 30 days please.", "analytics/reporting", "P2"))])
        await office.idle()
    assert await office.statuses("acme/shop#1") == ["todo", "in-progress", "done"]
    detail = await office.issue("acme/shop#1")
    assert detail.results[0]["agent_kind"] == "analytics"
    assert [name for name, _ in await office.facts_of("acme/shop#1")] == [
        "issue.opened", "issue.classified", "issue.assigned", "issue.started", "issue.result_recorded", "issue.gated",
        "issue.done",
    ]  # fmt: skip
    counts = await office.reader.sla_counts(office.organization.id)
    assert (counts.met, counts.breached, counts.running) == (1, 0, 0)


async def test_an_issue_that_is_closed_outside_is_done_whatever_it_waited_for(office: Office) -> None:
    issue = an_issue(1, "Quote for 14 schools", "", "sales/opportunity-management", "P2")
    closed = issue.model_copy(update={"state": "closed", "closed_at": datetime.now(UTC), "state_reason": "completed"})
    async with office.installation.run_worker():
        await office.publish([opened(issue)])
        await office.idle()
        await office.publish([facts.closed(closed)])
        await office.idle()
    detail = await office.issue("acme/shop#1")
    assert (detail.summary.status, detail.summary.state) == ("done", "closed")
    assert detail.summary.status_reason == "closed in test as completed"
    assert detail.transitions[-1]["actor"] == "source"


async def test_the_duplicate_of_a_closed_issue_comes_before_a_person(office: Office) -> None:
    text = "The label printer at the Mill Gate shop prints every label twice since the update of Monday morning."
    first = an_issue(1, "Label printer prints every label twice", text, "operations/maintenance", age_minutes=60)
    second = an_issue(2, "Label printer prints every label twice", text, "operations/maintenance", age_minutes=5)
    closed = first.model_copy(update={"state": "closed", "closed_at": datetime.now(UTC)})
    async with office.installation.run_worker():
        await office.publish([opened(first), opened(second)])
        await office.idle()
        duplicate = await office.issue("acme/shop#2")
        assert duplicate.summary.duplicate_of == "acme/shop#1"
        assert "probably the same as acme/shop#1" in duplicate.summary.status_reason
        assert (await office.issue("acme/shop#1")).summary.duplicate_of is None
        await office.publish([facts.closed(closed)])
        await office.idle()
    assert (await office.issue("acme/shop#2")).summary.status == "review"


async def test_an_answer_to_what_was_missing_takes_the_issue_up_again(office: Office) -> None:
    issue = an_issue(1, "Is the portal covered by tests?", "Please say.", "qa/coverage", "P3")
    report = "```\nName    Stmts   Miss  Cover\nshop.py   200     20    90%\nTOTAL     200     20    90%\n```"
    answered = issue.model_copy(update={"body": f"Please say.\n\n{report}", "updated_at": datetime.now(UTC)})
    async with office.installation.run_worker():
        await office.publish([opened(issue)])
        await office.idle()
        assert (await office.issue("acme/shop#1")).summary.status == "blocked"
        await office.publish([facts.changed(answered)])
        await office.idle()
    detail = await office.issue("acme/shop#1")
    assert detail.summary.status == "done", detail.summary.status_reason
    assert "body changed while it was blocked" in detail.transitions[3]["reason"]


async def test_a_change_that_says_nothing_new_changes_nothing(office: Office) -> None:
    issue = an_issue(1, "Quote for 14 schools", "", "sales/opportunity-management")
    touched = issue.model_copy(update={"updated_at": datetime.now(UTC), "assignees": ("maria",)})
    async with office.installation.run_worker():
        await office.publish([opened(issue)])
        await office.idle()
        await office.publish([facts.changed(touched)])
        await office.idle()
    assert await office.statuses("acme/shop#1") == ["todo", "blocked"]


async def test_a_reopened_issue_gets_a_new_clock(office: Office) -> None:
    issue = an_issue(1, REPORT, "Last 30 days.", "analytics/reporting", "P2", age_minutes=600)
    moment = datetime.now(UTC)
    closed = issue.model_copy(update={"state": "closed", "closed_at": moment, "updated_at": moment})
    again = issue.model_copy(update={"updated_at": moment + timedelta(seconds=1)})
    async with office.installation.run_worker():
        for event in (opened(issue), facts.closed(closed), facts.reopened(again)):
            await office.publish([event])
            await office.idle()
    detail = await office.issue("acme/shop#1")
    assert detail.summary.state == "open"
    assert detail.summary.reopened_count == 1
    assert detail.summary.deadline_at == moment + timedelta(seconds=1, hours=24)
    assert detail.summary.status == "done"


async def test_a_poll_that_finds_a_closed_issue_open_takes_it_up_as_reopened(office: Office) -> None:
    """A poll sees how an issue stands, not what happened to it."""
    issue = an_issue(1, REPORT, "Last 30 days.", "analytics/reporting", "P2", age_minutes=600)
    moment = datetime.now(UTC)
    closed = issue.model_copy(update={"state": "closed", "closed_at": moment, "updated_at": moment})
    stale = issue.model_copy(update={"updated_at": moment - timedelta(minutes=1)})
    again = issue.model_copy(update={"updated_at": moment + timedelta(seconds=1)})
    async with office.installation.run_worker():
        for event in (opened(issue), facts.closed(closed), facts.changed(stale)):
            await office.publish([event])
            await office.idle()
        assert (await office.issue("acme/shop#1")).summary.state == "closed"
        # The poll and, late, the webhook.
        for event in (facts.changed(again), facts.reopened(again)):
            await office.publish([event])
            await office.idle()
    detail = await office.issue("acme/shop#1")
    assert (detail.summary.state, detail.summary.reopened_count) == ("open", 1)
    assert [name for name, _ in await office.facts_of("acme/shop#1")].count("issue.reopened") == 1
    assert detail.summary.deadline_at == moment + timedelta(seconds=1, hours=24)
    assert [step["to_status"] for step in detail.transitions].count("in-progress") == 2


async def test_a_closing_that_is_worked_on_behind_its_reopening_closes_nothing(office: Office) -> None:
    """With a backlog the closing waits longer: it is less urgent."""
    issue = an_issue(1, REPORT, "Last 30 days.", "analytics/reporting", "P2", age_minutes=600)
    moment = datetime.now(UTC)
    closed = issue.model_copy(update={"state": "closed", "closed_at": moment, "updated_at": moment})
    again = issue.model_copy(update={"updated_at": moment + timedelta(seconds=1)})
    async with office.installation.run_worker():
        for event in (opened(issue), facts.reopened(again), facts.closed(closed)):
            await office.publish([event])
            await office.idle()
    detail = await office.issue("acme/shop#1")
    assert (detail.summary.state, detail.summary.closed_at) == ("open", None)
    assert all(step["actor"] != "source" for step in detail.transitions)


async def test_an_opening_that_arrives_behind_its_closing_leaves_it_done(office: Office) -> None:
    issue = an_issue(1, REPORT, "Last 30 days.", "analytics/reporting", "P2", age_minutes=600)
    moment = datetime.now(UTC)
    closed = issue.model_copy(update={"state": "closed", "closed_at": moment, "updated_at": moment})
    async with office.installation.run_worker():
        for event in (facts.closed(closed), opened(issue)):
            await office.publish([event])
            await office.idle()
    detail = await office.issue("acme/shop#1")
    assert (detail.summary.state, detail.summary.status) == ("closed", "done")
    assert await office.discarded() == []


async def test_held_work_goes_on_when_a_person_says_so(office: Office) -> None:
    issue = an_issue(1, "Shop down", "Down.", "qa/testing", "P1")
    async with office.installation.run_worker():
        await office.publish([opened(issue)])
        await office.idle()
        held = await office.issue("acme/shop#1")
        assert held.oversight is not None
        assert held.oversight["decision"] == "hold"
        assert held.summary.status == "blocked"
        assert "no description" in held.summary.status_reason
        assert held.results == []
        released = {"key": "acme/shop#1", "decision": "proceed", "person": "maria", "reason": "I asked, go on"}
        await office.publish([NewEvent("issue.released", released)])
        await until(lambda: _has_result(office), "the work went on")
        await office.idle()
    detail = await office.issue("acme/shop#1")
    release = next(step for step in detail.transitions if step["actor_kind"] == "person")
    assert (release["actor"], release["reason"]) == ("maria", "released: I asked, go on")


async def test_a_person_can_stop_held_work(office: Office) -> None:
    async with office.installation.run_worker():
        await office.publish([opened(an_issue(1, "Shop down", "Down.", "qa/testing", "P1"))])
        await office.idle()
        stop = {"key": "acme/shop#1", "decision": "stop", "person": "maria"}
        await office.publish([NewEvent("issue.released", stop)])
        await until(lambda: _is_stopped(office), "it was stopped")
        await office.idle()
    assert (await office.issue("acme/shop#1")).results == []


async def test_nobody_reads_the_issues_of_another_organization(office: Office) -> None:
    rival = Office(office.installation, await office.installation.create_organization("Rival"))
    text = "The label printer at the Mill Gate shop prints every label twice since the update of Monday morning."
    async with office.installation.run_worker():
        await office.publish([opened(an_issue(1, "Label printer prints every label twice", text, "bug"))])
        await office.idle()
        await rival.publish([opened(an_issue(1, "Label printer prints every label twice", text, "bug", age_minutes=1))])
        await rival.idle()
    own = (await office.reader.list(office.organization.id)).items
    theirs = (await rival.reader.list(rival.organization.id)).items
    assert len(own) == len(theirs) == 1
    assert own[0].id != theirs[0].id
    with pytest.raises(NotFoundError):
        await rival.reader.get(rival.organization.id, own[0].id)
    # The same text elsewhere is no duplicate and no solved case.
    assert (await rival.issue("acme/shop#1")).related == []


async def test_a_department_whose_agents_are_all_off_says_so(office: Office) -> None:
    for agent in (await office.installation.directory.list(office.organization.id)).items:
        if agent.kind == "qa":
            await office.installation.directory.enable(office.organization.id, agent.id, is_enabled=False)
    async with office.installation.run_worker():
        await office.publish([opened(an_issue(1, "Coverage?", "Is it enough?", "qa/coverage", "P3"))])
        await office.idle()
    summary = (await office.issue("acme/shop#1")).summary
    assert summary.status == "blocked"
    assert "no qa agent could do it: nobody may do it (Quality desk: disabled)" in summary.status_reason
    assert "issue.escalated" in [name for name, _ in await office.facts_of("acme/shop#1")]


async def test_a_worker_that_dies_in_the_middle_doubles_nothing(office: Office, login_url: str) -> None:
    numbers = range(1, 31)
    issues = [
        an_issue(n, f"Report number {n}: what was opened", f"The last {n} days.", "analytics/reporting", "P2")
        for n in numbers
    ]
    async with Installation.open(settings_of(login_url)) as other:
        context = other.run_worker()
        worker = await context.__aenter__()
        await office.publish([opened(issue) for issue in issues])
        await until(lambda: _some_results(office, 3), "the first worker got going")
        await worker.crash()
        async with office.installation.run_worker():
            await office.idle()
        for number in numbers:
            detail = await office.issue(f"acme/shop#{number}")
            assert [step["to_status"] for step in detail.transitions] == ["todo", "in-progress", "done"]
            assert len(detail.results) == 1
            told = [name for name, _ in await office.facts_of(detail.summary.key)]
            assert len(told) == len(set(told)), told
    assert await office.discarded() == []


async def test_history_teaches_and_runs_no_clock(office: Office) -> None:
    moment = datetime.now(UTC)
    texts = {"finance/expense-tracking": "kumquat lantern pebble", "security/audit": "walrus trombone gravel"}
    issues = [
        an_issue(
            n, f"{text} {n}", text, label, "P1" if n % 3 else "P3", age_minutes=5000 - n, state="closed",
            closed_at=moment,
        )
        for n, (label, text) in enumerate([item for item in texts.items() for _ in range(15)], start=1)
    ]  # fmt: skip
    async with office.installation.run_worker():
        await office.publish([facts.imported(issue) for issue in issues])
        await office.idle()
        report = await refit(office.installation.database, office.organization.id)
        assert report["department"]["is_fitted"], report
        assert set(report["department"]["targets"]) == {"finance.expense-tracking", "security.audit"}
        again = await refit(office.installation.database, office.organization.id)
        assert again["department"]["is_fitted"] is False
        await office.publish([opened(an_issue(99, "kumquat lantern pebble", "one more kumquat"))])
        await office.idle()
    counts = await office.reader.sla_counts(office.organization.id)
    assert (counts.met, counts.breached) == (0, 0)
    assert (await office.reader.list(office.organization.id, IssueFilterBy())).items[0].number == 99
    new = await office.issue("acme/shop#99")
    assert new.classification is not None
    assert new.classification["learned_from"] == 30
    assert new.summary.department == "finance"


async def test_a_missed_p0_is_an_emergency_and_the_project_manager_plans(office: Office) -> None:
    issue = an_issue(
        1, "Cold store too warm", "It is at nine degrees and rises.", "operations/monitoring", "P0", age_minutes=58
    )
    async with office.installation.run_worker():
        await office.publish([opened(issue)])
        await office.idle()
        await office.installation.database.execute(
            "update issues set deadline_at = now() - interval '1 second' where organization_id = %s",
            (office.organization.id,),
            organization_id=office.organization.id,
        )
        for _ in range(2):
            await office.installation.schedules.fire_now(office.organization.id, "sla.sweep")
            await until(lambda: _has_event(office, "emergency.declared"), "the emergency was declared")
            await asyncio.sleep(0.3)
            await office.idle()
    told = [name for name, _ in await office.facts_of("acme/shop#1")]
    assert told.count("sla.breached") == told.count("emergency.declared") == 1
    detail = await office.issue("acme/shop#1")
    assert [(entry["before"], entry["after"]) for entry in detail.escalations] == [("P0", "P0")]
    assert [result["operation"] for result in detail.results] == ["escalation"]


async def _has_result(office: Office) -> bool:
    return bool((await office.issue("acme/shop#1")).results)


async def _is_stopped(office: Office) -> bool:
    return "stopped by a person" in (await office.issue("acme/shop#1")).summary.status_reason


async def _has_event(office: Office, name: str) -> bool:
    return name in await office.installation.event_reader.counts(office.organization.id)


async def _some_results(office: Office, n: int) -> bool:
    return (await office.installation.event_reader.counts(office.organization.id)).get("issue.result_recorded", 0) >= n
