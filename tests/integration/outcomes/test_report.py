"""The report: every effect in one column, and only what a look verified is a success."""

from datetime import timedelta

import psycopg
import pytest
from scipy import stats

from bailiwick.kernel.ids import new_id
from bailiwick.outcomes.reporting import OutcomeReports, success_rate
from bailiwick.storage import Database
from tests.support.autonomy import put_effect

STATES = (
    "declined", "proposed", "waiting", "executing", "applied", "applied", "verified", "verified", "verified",
    "refuted", "unverifiable", "failed", "unknown", "reverted",
)  # fmt: skip


def put_outcome(login_url: str, organization_id: str, **fields: object) -> None:
    """Put an expectation there without a timer; it was to be looked at after a week unless said otherwise."""
    given = {
        "id": new_id(), "org": organization_id, "task": new_id(), "effect": None, "state": "pending", "agent": None,
        "class": None, "days": 7, **fields,
    }  # fmt: skip
    with psycopg.connect(login_url) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute(
            'insert into outcomes (id, organization_id, task_id, effect_id, agent_id, "check", claim, check_at, state, '
            "effect_class, expected_at, checked_at, missing) values (%(id)s, %(org)s, %(task)s, %(effect)s, %(agent)s, "
            "'c', 'c', now(), %(state)s, %(class)s, now() - %(days)s * interval '1 day', "
            "case when %(state)s <> 'pending' then now() end, case when %(state)s = 'unknown' then 'sight' end)",
            given,
        )


async def test_every_effect_is_in_one_column_and_what_awaits_its_look_is_no_success(
    database: Database, login_url: str
) -> None:
    organization_id = new_id()
    effects = [put_effect(login_url, org=organization_id, state=state) for state in STATES]
    put_outcome(login_url, organization_id, effect=effects[5])
    for place, state, days in ((7, "worked", 1), (8, "worked", 0.9), (9, "did_not", 2)):
        put_outcome(login_url, organization_id, effect=effects[place], state=state, days=days, **{"class": "write"})
    put_effect(login_url, org=new_id(), state="verified")
    (line,) = await OutcomeReports(database).report(organization_id)
    columns = {
        "identified": 1, "proposed": 3, "applied": 1, "pending": 1, "seen": 2, "unseen": 0, "verified": 1, "refuted": 1,
        "unverifiable": 1, "failed": 1, "unknown": 1, "reverted": 1,
    }  # fmt: skip
    assert {name: getattr(line, name) for name in columns} == columns
    assert sum(columns.values()) == len(STATES)
    assert line.success is not None
    assert line.success.rate == 0.5
    assert (line.success.low, line.success.high) == pytest.approx(
        tuple(stats.binomtest(1, 2).proportion_ci(method="wilson"))
    )


async def test_results_of_tasks_are_a_class_of_their_own(database: Database, login_url: str) -> None:
    organization_id = new_id()
    put_effect(login_url, org=organization_id, state="applied")
    for state in ("worked", "worked", "did_not", "unknown", "pending"):
        put_outcome(login_url, organization_id, state=state)
    lines = {line.effect_class: line for line in await OutcomeReports(database).report(organization_id)}
    result = lines["result"]
    assert (result.verified, result.refuted, result.unverifiable, result.pending) == (2, 1, 1, 1)
    assert lines["write"].success is None
    assert lines["write"].applied == 1


@pytest.mark.parametrize(
    ("effect_class", "days", "proves"),
    [("write", 0.99, False), ("write", 1, True), ("external", 1, True), ("spend", 6.9, False), ("spend", 7, True),
     ("destructive", 1, False), ("destructive", 7, True), ("read", 300, False)],
)  # fmt: skip
async def test_a_glance_is_no_proof_and_its_harm_no_rate(
    database: Database, login_url: str, effect_class: str, days: float, proves: bool
) -> None:
    organization_id = new_id()
    for state, found in (("verified", "worked"), ("refuted", "did_not")):
        effect = put_effect(login_url, org=organization_id, state=state, **{"class": effect_class})
        put_outcome(login_url, organization_id, effect=effect, state=found, days=days, **{"class": effect_class})
    (line,) = await OutcomeReports(database).report(organization_id)
    assert (line.verified, line.refuted, line.seen, line.unseen) == ((1, 1, 0, 0) if proves else (0, 0, 1, 1))
    assert (line.success is not None) == proves


async def test_a_report_is_bounded_by_time_and_agent(database: Database, login_url: str) -> None:
    organization_id, agent = new_id(), new_id()
    put_effect(login_url, org=organization_id, state="verified", agent=agent)
    put_effect(login_url, org=organization_id, state="refuted")
    reports = OutcomeReports(database)
    assert [line.seen for line in await reports.report(organization_id, agent_id=agent)] == [1]
    row = await database.fetch_one("select now() as now")
    assert row is not None
    assert await reports.report(organization_id, since=row["now"] + timedelta(days=1)) == []


def test_without_a_verdict_there_is_no_rate() -> None:
    assert success_rate(0, 0) is None


def test_a_rate_lies_in_its_own_interval() -> None:
    for verified, refuted in ((1, 0), (0, 1), (7, 0), (3, 4)):
        rate = success_rate(verified, refuted)
        assert rate is not None
        assert rate.low <= rate.rate <= rate.high
