"""The demo input through the whole pack: what becomes of each issue and each meter."""

import asyncio
import io
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bailiwick.connectors.importing import ImportReport, import_issues, import_readings
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.demo import DEMO_REPOSITORY, demo_issue_lines, demo_meter_rows
from bailiwick.events import NewEvent, Published
from bailiwick.installation import Installation
from bailiwick.packs.operations.label_list import GIVEN
from bailiwick.packs.operations.reader import IssueDetail, IssueFilterBy, SlaCounts
from bailiwick.packs.operations.roster import AGENTS
from bailiwick.storage.embedded import EmbeddedServer
from tests.integration.operations.conftest import Office, settings_of

PLANTED = tomllib.loads((Path(__file__).parents[2] / "unit" / "demo" / "planted.toml").read_text(encoding="utf-8"))


@dataclass
class Outcome:
    """Everything that was there when the work was done."""

    imported: ImportReport
    issues: dict[int, IssueDetail]
    history: int
    events: dict[str, int]
    discarded: list[dict[str, Any]]
    counts: dict[str, dict[str, int]]
    sla: SlaCounts
    findings: list[dict[str, Any]]
    days: list[Any]
    agents: dict[str, int]
    after_sweep: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Sink:
    """Takes events into the installation and drops what was refused."""

    office: Office

    async def publish(self, events: Sequence[NewEvent]) -> Sequence[Published]:
        return await self.office.installation.events.publish(self.office.organization.id, events)

    async def reject(self, record: RejectedRecord) -> None:
        return None


@pytest.fixture(scope="module")
def outcome(postgres: EmbeddedServer) -> Iterator[Outcome]:
    """The demo input, worked off once for all tests of this module."""
    name = "test_operations_demo"
    with psycopg.connect(postgres.url_of("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} owner bailiwick").format(sql.Identifier(name)))
        try:
            yield asyncio.run(work_off(postgres.url_of("postgres", name)))
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


async def work_off(login_url: str) -> Outcome:
    """Feed the demo input, work until nothing is left, and look."""
    async with Installation.open(settings_of(login_url)) as installation:
        office = Office(installation, await installation.create_organization("Harbour Lane"))
        now = datetime.now(UTC)
        lines = io.BytesIO(b"\n".join(demo_issue_lines(now)))
        report = await import_issues(read_github_issues(lines), Sink(office))
        await import_readings(list(demo_meter_rows(now)), Sink(office))
        async with installation.run_worker():
            await office.idle()
            found = await look(office, report)
            await installation.schedules.fire_now(office.organization.id, "sla.sweep")
            await asyncio.sleep(0.5)
            await office.idle()
        found.after_sweep = await installation.event_reader.counts(office.organization.id)
        return found


async def look(office: Office, report: ImportReport) -> Outcome:
    """Read everything a door could show."""
    organization_id = office.organization.id
    page = await office.reader.list(organization_id, IssueFilterBy(include_history=True), limit=500)
    shown = [one for one in page.items if not one.is_history]
    statistics = await office.installation.directory.statistics(organization_id)
    return Outcome(
        imported=report,
        issues={one.number: await office.issue(one.key) for one in shown},
        history=len(page.items) - len(shown),
        events=await office.installation.event_reader.counts(organization_id),
        discarded=await office.discarded(),
        counts=await office.reader.counts(organization_id),
        sla=await office.reader.sla_counts(organization_id),
        findings=(await office.reader.meter_findings(organization_id)).items,
        days=list(await office.reader.meter_days(organization_id)),
        agents={one.kind: one.completed for one in statistics.items},
    )


def test_everything_readable_came_in_and_nothing_broke(outcome: Outcome) -> None:
    assert outcome.imported.rejected_count == PLANTED["malformed"]["count"]
    assert outcome.events["issue.opened"] == len(outcome.issues)
    assert outcome.events["issue.imported"] == outcome.history
    assert outcome.discarded == []


def test_all_fourteen_departments_are_seen(outcome: Outcome) -> None:
    assert set(outcome.counts["department"]) == set(AGENTS)


def test_every_issue_comes_to_rest_with_a_reason_and_a_trail(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        assert detail.summary.status in ("done", "review", "blocked")
        assert detail.summary.status_reason
        trail = [(step["from_status"], step["to_status"]) for step in detail.transitions]
        assert trail[0] == (None, "todo")
        assert all(before[1] == after[0] for before, after in pairwise(trail))
        assert trail[-1][1] == detail.summary.status


def test_only_an_answer_makes_an_issue_done(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        if detail.summary.status == "done":
            assert [result["status"] for result in detail.results][-1] == "done"
            assert detail.summary.department in outcome.agents


def test_departments_without_agents_say_so(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        department = detail.summary.department
        if department not in outcome.agents and detail.summary.status_reason.startswith("cannot determine"):
            assert detail.summary.status == "blocked"
            assert detail.summary.status_reason == (
                f"cannot determine: the {department} agent is not part of this release"
            )
            assert detail.results == []


def test_duplicates_are_found_however_they_are_worded(outcome: Outcome) -> None:
    for older, younger in PLANTED["duplicate_pairs"]:
        if younger not in outcome.issues:
            continue
        related = {one["key"] for one in outcome.issues[younger].related}
        assert f"{DEMO_REPOSITORY}#{older}" in related, (older, younger)
    assert outcome.events["issue.duplicate_found"] >= len(PLANTED["duplicate_pairs"]) - 1


def test_orders_to_a_machine_are_set_aside_and_have_no_effect(outcome: Outcome) -> None:
    detail = outcome.issues[PLANTED["prompt_injection"]]
    assert detail.summary.priority == "P3"
    assert detail.summary.status != "done"
    assert detail.classification is not None
    assert detail.classification["set_aside"]
    assert "automated reader" in detail.summary.status_reason
    urgent = [one for one in outcome.issues.values() if one.summary.priority == "P0"]
    assert all(one.summary.status != "done" for one in urgent)


def test_without_a_connection_nothing_is_sent_and_each_effect_says_why(outcome: Outcome) -> None:
    effects = [effect for detail in outcome.issues.values() for effect in detail.proposed_effects]
    assert {effect["tool"] for effect in effects} == {"github.add_labels", "github.comment"}
    assert {effect["state"] for effect in effects} == {"declined"}
    assert all("is not connected to this organization" in effect["problem"] for effect in effects)


def test_every_label_that_is_proposed_is_on_the_closed_list(outcome: Outcome) -> None:
    effects = [effect for detail in outcome.issues.values() for effect in detail.proposed_effects]
    proposed = {label for effect in effects for label in effect["arguments"].get("labels", ())}
    assert proposed
    assert proposed <= GIVEN


@pytest.mark.parametrize("number", PLANTED["input_missing"])
def test_what_lacks_its_input_says_what_is_missing(outcome: Outcome, number: int) -> None:
    summary = outcome.issues[number].summary
    assert summary.status == "blocked", summary.status_reason
    assert summary.status_reason.startswith("cannot determine")


def test_urgent_issues_are_overseen_with_reasons(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        if detail.summary.priority in ("P0", "P1") and detail.summary.duplicate_of is None:
            assert detail.oversight is not None, detail.summary.key
            assert detail.oversight["reasons"]
    near = outcome.issues[PLANTED["sla_about_to_breach"]]
    assert near.summary.priority == "P0"
    assert near.oversight is not None
    assert any("min remain" in reason for reason in near.oversight["reasons"])
    assert near.results


def test_the_choice_of_agent_is_kept_with_its_reason(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        if detail.results:
            assert detail.choice is not None
            assert detail.choice["reason"]
            assert len(detail.choice["candidates"]) >= 1


def test_results_carry_evidence_and_gates_without_invented_passes(outcome: Outcome) -> None:
    for detail in outcome.issues.values():
        for result in detail.results:
            assert {gate["name"] for gate in result["gates"]} == {"coverage", "tests", "security", "performance"}
            for gate in result["gates"]:
                assert (gate["measured"] is None) == (gate["verdict"] == "not measured")
    tested = outcome.issues[PLANTED["junit_and_coverage"]]
    assert tested.summary.status == "review"
    assert "coverage 70 below 80" in tested.summary.status_reason


def test_service_levels_are_counted_and_late_ones_climb(outcome: Outcome) -> None:
    assert outcome.sla.breached >= 1
    assert outcome.sla.met >= 1
    late = outcome.issues[PLANTED["sla_breached_open"]].summary
    assert late.deadline_at is not None
    assert late.deadline_at < datetime.now(UTC)
    assert outcome.after_sweep["sla.breached"] >= 1
    assert outcome.after_sweep["sla.at_risk"] >= 1
    assert outcome.after_sweep["issue.escalated"] > outcome.events["issue.escalated"]


def test_the_planted_faults_of_the_meters_are_found_and_no_others(outcome: Outcome) -> None:
    found = {(one["kind"], one["meter_id"]): one for one in outcome.findings}
    expected = {(kind, PLANTED["meters"][kind]["meter"]) for kind in ("gap", "frozen", "spike")}
    assert set(found) == expected
    for kind in ("gap", "frozen"):
        planted = PLANTED["meters"][kind]
        one = found[(kind, planted["meter"])]
        assert (f"{one['started_at']:%H:%M}", f"{one['ended_at']:%H:%M}") == (planted["from"], planted["to"])
    assert outcome.events["meter.anomaly_found"] == len(expected)
    assert {day["meter_id"] for day in outcome.days} == {
        reading.meter_id for reading in demo_meter_rows(datetime.now(UTC))
    }
