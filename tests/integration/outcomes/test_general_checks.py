"""The checks that every installation has, over real events and real effects."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bailiwick.events import NewEvent
from bailiwick.kernel.errors import CannotDetermineError
from bailiwick.kernel.ids import new_id
from bailiwick.outcomes import CheckRegistry, Expected, Finding
from bailiwick.outcomes.general import register_general
from bailiwick.tasks import Run
from tests.integration.outcomes.conftest import ExpectingEngine

NOW = datetime.now(UTC)


class Desk:
    """Looks at what happened in one organization."""

    def __init__(self, engine: ExpectingEngine) -> None:
        self.engine = engine
        self.checks = CheckRegistry()
        register_general(self.checks, engine.database, engine.effects, engine.tools)

    async def happened(self, what: str, key: str, days: float, payload: Any = None) -> None:
        """Record an event that occurred so many days after (or before) the expectation."""
        await self.engine.publish(what, key, payload or {}, occurred_at=NOW + timedelta(days=days))

    async def look(self, check: str, arguments: dict[str, Any], *, effect_id: str | None = None) -> Finding:
        """Look two weeks after the expectation."""
        found = self.checks.get(check)
        expected = Expected(new_id(), "it worked", new_id(), effect_id, None, NOW, NOW + timedelta(days=14))
        given = self.checks.arguments(found, arguments)
        finding: Finding = await found.look(self.engine.organization_id, given, expected)
        return finding


@pytest.fixture
async def desk(engine: ExpectingEngine) -> Desk:
    engine.knows("issue.reopened", "issue.changed", "meter.read", "load.measured")
    return Desk(engine)


@pytest.mark.parametrize(("days", "absent"), [(-1, "worked"), (0.001, "did_not"), (13.9, "did_not"), (14.1, "worked")])
async def test_an_event_counts_from_the_expectation_to_the_time_of_the_look(
    desk: Desk, days: float, absent: str
) -> None:
    await desk.happened("issue.reopened", "acme/app#7", days)
    await desk.happened("issue.reopened", "acme/app#8", 1)
    await desk.happened("issue.changed", "acme/app#7", 1)
    arguments = {"type": "issue.reopened", "key": "acme/app#7"}
    assert (await desk.look("event.absent", arguments)).verdict == absent
    present = {"worked": "did_not", "did_not": "worked"}[absent]
    finding = await desk.look("event.present", arguments)
    assert finding.verdict == present
    (reading,) = finding.evidence
    assert reading.source == "the event log"
    assert len(reading.seen["events"]) == (present == "worked")


async def test_silence_altogether_is_unknown_where_a_sign_of_the_source_is_asked_for(desk: Desk) -> None:
    arguments = {"type": "issue.reopened", "key": "acme/app#7", "heard_by": "issue.changed"}
    for check in ("event.absent", "event.present"):
        finding = await desk.look(check, arguments)
        assert (finding.verdict, finding.missing) == ("unknown", "any sign of the source: no issue.changed came")
    await desk.happened("issue.changed", "acme/app#9", 1)
    assert (await desk.look("event.absent", arguments)).verdict == "worked"
    assert (await desk.look("event.present", arguments)).verdict == "did_not"


async def test_what_a_run_tells_itself_speaks_for_nothing_that_it_promised(desk: Desk) -> None:
    check, task = desk.checks.get("event.present"), new_id()
    expected = Expected(new_id(), "it worked", task, None, None, NOW, NOW + timedelta(days=14))

    async def found(name: str, **arguments: str) -> str:
        looked = desk.checks.get(name)
        given = desk.checks.arguments(check, {"key": "acme/app#7", **arguments})
        finding: Finding = await looked.look(desk.engine.organization_id, given, expected)
        return finding.verdict

    for what in ("issue.changed", "issue.reopened"):
        at = NOW + timedelta(days=1)
        await desk.engine.publish(what, "acme/app#7", {}, occurred_at=at, cause_id=task)
    assert await found("event.present", type="issue.changed") == "did_not"
    assert await found("event.absent", type="meter.read", heard_by="issue.changed") == "unknown"
    # Against it speaks whatever there is.
    assert await found("event.absent", type="issue.reopened") == "did_not"


async def test_nothing_of_another_organization_counts(desk: Desk) -> None:
    own, desk.engine.organization_id = desk.engine.organization_id, new_id()
    await desk.happened("issue.reopened", "acme/app#7", 1)
    desk.engine.organization_id = own
    assert (await desk.look("event.absent", {"type": "issue.reopened", "key": "acme/app#7"})).verdict == "worked"


async def meter(desk: Desk, before: list[float], after: list[float]) -> None:
    """Have one reading a day, delivered long after it was taken."""
    for place, value in enumerate([*reversed(before)]):
        read_at = (NOW - timedelta(days=place + 0.5)).isoformat()
        await desk.happened("meter.read", "hall", 20, {"value": value, "read_at": read_at})
    for place, value in enumerate(after):
        read_at = (NOW + timedelta(days=place + 0.5)).isoformat()
        await desk.happened("meter.read", "hall", 20, {"value": value, "read_at": read_at})


@pytest.mark.parametrize(
    ("after", "by_fraction", "verdict"),
    [
        ([8.0, 8.1, 7.9, 8.2, 8.0, 7.8, 8.1], 0.0, "worked"),
        ([8.0, 8.1, 7.9, 8.2, 8.0, 7.8, 8.1], 0.3, "did_not"),
        ([10.0, 9.9, 10.1, 10.0, 10.2, 9.8, 10.0], 0.0, "unknown"),
        ([12.0, 11.9, 12.1, 12.0, 12.2, 11.8, 12.0], 0.0, "did_not"),
    ],
)
async def test_a_metric_is_below_its_baseline_above_it_or_within_the_noise(
    desk: Desk, after: list[float], by_fraction: float, verdict: str
) -> None:
    await meter(desk, [10.0, 10.2, 9.8, 10.1, 9.9, 10.0, 10.0], after)
    arguments = {"key": "hall", "by_fraction": by_fraction}
    finding = await desk.look("metric.below_baseline", arguments)
    assert finding.verdict == verdict
    (reading,) = finding.evidence
    assert reading.source == "value of meter.read events of hall"
    assert (reading.seen["before"]["points"], reading.seen["after"]["points"]) == (7, 7)
    assert reading.seen["before"]["mean"] == pytest.approx(10.0)


async def test_too_few_points_are_unknown_and_the_missing_are_counted(desk: Desk) -> None:
    await meter(desk, [10.0] * 3, [8.0] * 9)
    finding = await desk.look("metric.below_baseline", {"key": "hall"})
    assert (finding.verdict, finding.missing) == (
        "unknown",
        "4 more points of value before the expectation (there are 3 of 7)",
    )


async def test_readings_of_one_day_are_one_point(desk: Desk) -> None:
    for minutes in range(30):
        await desk.happened("load.measured", "web", 1 + minutes / 1440, {"cpu": {"load": 3.0}})
    arguments = {"type": "load.measured", "key": "web", "field": "cpu.load", "threshold": 2.0, "minimum_points": 2}
    finding = await desk.look("metric.above", arguments)
    assert finding.verdict == "unknown"
    assert finding.evidence[0].seen["after"] == {"points": 1, "readings": 30, "mean": 3.0, "deviation": 0.0}
    await desk.happened("load.measured", "web", 3, {"cpu": {"load": 3.2}})
    assert (await desk.look("metric.above", {**arguments, "bucket_hours": 0.05})).verdict == "worked"
    assert (await desk.look("metric.above", {**arguments, "bucket_hours": 0.05, "threshold": 9})).verdict == "did_not"


async def test_what_is_no_number_or_names_no_time_is_not_counted(desk: Desk) -> None:
    await desk.happened("load.measured", "web", 1, {"load": "high", "at": "2026-11-22T00:00:00Z"})
    await desk.happened("load.measured", "web", 1, {"load": 1.0, "at": "the day before yesterday"})
    await desk.happened("load.measured", "web", 1, {"load": 1.0, "at": "2026-02-31T00:00:00Z"})
    arguments = {"type": "load.measured", "key": "web", "field": "load", "at": "at", "threshold": 0.5}
    assert (await desk.look("metric.above", arguments)).evidence[0].seen["after"] is None


async def test_an_effect_still_stands_until_somebody_takes_it_away(desk: Desk, tmp_path: Path) -> None:
    engine = desk.engine
    await engine.work()
    payload = {"check": "lamp.is_on", "after_seconds": 3600}
    effect_id = (await engine.ended(await engine.add("act", payload, agent_id=engine.agent_id)))["result"]
    finding = await desk.look("effect.still_stands", {}, effect_id=effect_id)
    assert finding.verdict == "worked"
    assert finding.evidence[0].source == "folder.append at file:file"
    (tmp_path / "file").unlink()
    assert (await desk.look("effect.still_stands", {}, effect_id=effect_id)).verdict == "did_not"


async def test_a_tasks_own_result_is_no_change_that_a_tool_could_look_at(desk: Desk) -> None:
    with pytest.raises(CannotDetermineError):
        await desk.look("effect.still_stands", {})


async def test_a_run_cannot_publish_under_anothers_cause(desk: Desk) -> None:
    other = new_id()

    async def disguised(run: Run, _: Any) -> str:
        return await run.publish(NewEvent("load.measured", {"load": 1.0}, key="web", cause_id=other))

    desk.engine.handles("disguised", disguised)
    await desk.engine.work()
    task = await desk.engine.add("disguised")
    await desk.engine.ended(task)
    assert await desk.engine.inspector.fetch_all("select cause_id from events where type = 'load.measured'") == [
        {"cause_id": task}
    ]


class Family:
    """A promising run with a parent, a child and a bystander, all over; tasks of which nothing is left but rows."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.agent = new_id()
        self.parent, self.task, self.sibling, self.child, self.other = (new_id() for _ in range(5))
        self.same_agent, self.reaction = new_id(), new_id()

    async def put(self) -> None:
        """Put the tasks on record: the family, another run of the same agent, and one that follows from its event."""
        cause = await self.desk.engine.publish("issue.changed", "a", {}, cause_id=self.child)
        for task, parent, agent, caused_by in (
            (self.parent, None, None, None), (self.task, self.parent, self.agent, None),
            (self.sibling, self.parent, None, None), (self.child, self.task, None, None),
            (self.other, None, new_id(), None), (self.same_agent, None, self.agent, None),
            (self.reaction, None, None, cause),
        ):  # fmt: skip
            await self.desk.engine.inspector.execute(
                "insert into finished_tasks (id, organization_id, kind, state, priority, lane, payload, agent_id, "
                "parent_id, cause_id, fence, failures, recoveries, errors, cost, inserted_at) values "
                "(%s, %s, 'k', 'completed', 1, '', '{}', %s, %s, %s, 1, 0, 0, '[]', 0, now())",
                (task, self.desk.engine.organization_id, agent, parent, caused_by),
            )

    async def look(self, check: str, arguments: dict[str, Any]) -> Finding:
        """Look at what the run promised."""
        found = self.desk.checks.get(check)
        until = NOW + timedelta(days=14)
        expected = Expected(new_id(), "it worked", self.task, None, self.agent, NOW, until)
        given = self.desk.checks.arguments(found, arguments)
        finding: Finding = await found.look(self.desk.engine.organization_id, given, expected)
        return finding

    async def measured(self, value: float, day: float, *, by: str | None = None) -> None:
        """Have a load told by a task, or by a source outside."""
        at = NOW + timedelta(days=day)
        await self.desk.engine.publish("load.measured", "web", {"load": value}, occurred_at=at, cause_id=by)


@pytest.fixture
async def family(desk: Desk) -> Family:
    family = Family(desk)
    await family.put()
    return family


LOAD = {"type": "load.measured", "key": "web", "field": "load", "threshold": 0.5}
OWN = ("parent", "task", "sibling", "child", "same_agent", "reaction")


@pytest.mark.parametrize("own", OWN)
async def test_what_a_run_its_kin_or_its_agent_told_proves_no_metric(family: Family, own: str) -> None:
    for day in range(8):
        await family.measured(1.0 + day / 100, day + 0.5, by=getattr(family, own))
    finding = await family.look("metric.above", LOAD)
    assert (finding.verdict, finding.missing) == (
        "unknown",
        "readings of others: all 8 readings of load after the expectation were told by the run itself, its kin or its "
        "agent",
    )
    assert finding.evidence[0].seen["own_after"] == 8
    for day in range(8):
        await family.measured(0.1 + day / 100, day + 0.5, by=family.other)
    finding = await family.look("metric.above", LOAD)
    assert (finding.verdict, finding.evidence[0].seen["after"]["readings"]) == ("did_not", 8)


async def test_a_run_does_not_move_its_own_baseline(family: Family) -> None:
    for day in range(8):
        await family.measured(9.0, -day - 0.5, by=family.same_agent)
        await family.measured(1.0 + day / 100, day + 0.5)
    arguments = {name: value for name, value in LOAD.items() if name != "threshold"}
    finding = await family.look("metric.below_baseline", arguments)
    assert finding.verdict == "unknown"
    assert (finding.missing or "").startswith("readings of others: all 8 readings of load before the expectation")


@pytest.mark.parametrize("own", OWN)
async def test_an_event_that_a_run_its_kin_or_its_agent_told_proves_nothing(family: Family, own: str) -> None:
    await family.measured(1.0, 1, by=getattr(family, own))
    arguments = {"type": "load.measured", "key": "web"}
    assert (await family.look("event.present", arguments)).verdict == "did_not"
    heard = {"type": "issue.reopened", "key": "acme/app#7", "heard_by": "load.measured"}
    assert (await family.look("event.absent", heard)).verdict == "unknown"
    await family.measured(1.0, 1, by=family.other)
    assert (await family.look("event.present", arguments)).verdict == "worked"
    assert (await family.look("event.absent", heard)).verdict == "worked"
