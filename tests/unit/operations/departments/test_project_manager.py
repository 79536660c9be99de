"""The project manager plans, allocates, escalates and reviews from the organization's own figures."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.departments.desk import AgentRow, Attempt, EventRow, IssueRow
from bailiwick.packs.operations.departments.project_manager_allocation import (
    MAX_MOVES,
    OVERLOADED,
    allocate_resources,
    plan_moves,
    read_request,
)
from bailiwick.packs.operations.departments.project_manager_delivery import count_weeks, expect
from bailiwick.packs.operations.departments.project_manager_escalation import escalate_issue
from bailiwick.packs.operations.departments.project_manager_kpis import health_score, review_kpis
from bailiwick.packs.operations.departments.project_manager_planning import plan_strategy
from tests.unit.operations.departments.desks import NOW, a_desk, a_row, an_issue


def an_agent(name: str, load: int = 0, capacity: int = 10, kind: str = "support") -> AgentRow:
    return AgentRow(name, name, kind, capacity, load)


def history(closed_per_week: int, opened_extra: int = 0, weeks: int = 8) -> list[IssueRow]:
    rows = [
        a_row(week * 100 + one, hours_ago=168 * week + 100, took_hours=20, department="support")
        for week in range(weeks)
        for one in range(closed_per_week)
    ]
    rows += [
        a_row(5000 + week * 100 + one, hours_ago=168 * week + 90, department="support")
        for week in range(weeks)
        for one in range(opened_extra)
    ]
    return [*rows, a_row(9000, hours_ago=168 * weeks + 1, took_hours=1)]


async def test_the_plan_is_made_of_the_backlog() -> None:
    late = [
        a_row(number, department="security", deadline_at=NOW - timedelta(hours=1), hours_ago=200)
        for number in (9101, 9102)
    ]
    old = [a_row(9110 + number, department="finance", hours_ago=2400) for number in range(5)]
    attempts = [Attempt("s1", "security", "audit", 7200, True, NOW) for _ in range(6)]
    desk = a_desk(
        issue_rows=[*history(6), *late, *old],
        agent_rows=[an_agent("s1", kind="security", capacity=1)],
        attempt_rows=attempts,
    )
    result = await plan_strategy(an_issue("Plan"), desk)
    data = result.data
    assert [one["group"] for one in data["objectives"]] == ["security", "finance"]
    assert data["objectives"][0]["late"] == 2
    assert [one["day"] for one in data["milestones"]] == [30, 60, 90]
    security = next(one for one in data["resources"] if one["group"] == "security")
    assert (security["demand_hours"], security["capacity_hours_per_week"]) == (4.0, 168.0)
    assert any("effort of `finance`" in one for one in result.missing)
    assert {"deadlines are missed already", "nobody can work on finance"} <= {one["risk"] for one in data["risks"]}
    assert data["success_measures"][0] == {"measure": "late open issues", "baseline": 2, "target": 0}


async def test_a_backlog_that_grows_has_no_date_of_clearing() -> None:
    result = await plan_strategy(an_issue("Plan"), a_desk(issue_rows=history(3, opened_extra=2)))
    assert result.data["timeline"]["weeks_to_clear"] is None
    assert "does not clear" in result.data["timeline"]["statement"]
    assert "the backlog grows" in {one["risk"] for one in result.data["risks"]}


async def test_velocity_without_history_is_not_invented() -> None:
    result = await plan_strategy(an_issue("Plan"), a_desk(issue_rows=[a_row(1), a_row(2)]))
    assert result.status == "cannot_determine"
    assert result.data["milestones"] == []
    assert result.data["objectives"]
    assert "4 whole weeks of history" in result.missing[0]
    empty = await plan_strategy(an_issue("Plan"), a_desk())
    assert "nothing to plan" in empty.missing[0]


def test_the_prediction_interval_covers_about_what_it_promises() -> None:
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        counts = generator.poisson(12, 16)
        found = expect(counts[:12].tolist(), 4)
        assert found is not None
        inside += found.low <= counts[12:].sum() <= found.high
    assert 0.74 <= inside / 400 <= 0.88


def test_weeks_are_counted_whole_and_only_since_the_first_issue() -> None:
    weeks = count_weeks([a_row(1, hours_ago=24 * 20, took_hours=24), a_row(2, hours_ago=30)], NOW)
    assert (weeks.opened, weeks.closed) == ((0, 1), (0, 0))
    assert expect((1, 2, 3), 4) is None


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("- 2 qa agents\n- 1 security", {"qa": 2, "security": 1}),
        ("qa: 2\nproject manager: 1", {"qa": 2, "project-manager": 1}),
        ("support x 3 and devops x 1", {"support": 3, "devops": 1}),
        ("| developer | 4 |", {"developer": 4}),
        ("We need two developers and one tester for three weeks", {"developer": 2, "qa": 1}),
        ("the 3 of us need help", {}),
    ],
)
def test_requests_are_read_as_people_write_them(text: str, requested: dict[str, int]) -> None:
    assert read_request(an_issue("Staff", text))[0] == requested


async def test_efficiency_is_allocated_over_requested() -> None:
    agents = [an_agent("q1", 10, kind="qa"), an_agent("q2", 1, kind="qa"), an_agent("s1", 0, kind="security")]
    result = await allocate_resources(an_issue("Staff", "- 2 qa\n- 1 security\n- 1 finance"), a_desk(agent_rows=agents))
    assert result.data["efficiency"] == 0.5
    assert result.data["requested"][0]["agents"] == ["q2"]
    assert result.proposed_labels == ("capacity-short",)


async def test_without_a_request_rebalancing_is_still_computed() -> None:
    agents = [an_agent("full", 10), an_agent("idle", 1)]
    rows = [a_row(number, agent_id="full", priority=priority) for number, priority in ((1, "P1"), (2, "P3"), (3, "P2"))]
    result = await allocate_resources(an_issue("Staff", "please help"), a_desk(agent_rows=agents, issue_rows=rows))
    assert result.status == "cannot_determine"
    assert result.data["moves"] == [{"issue": "acme/shop#2", "from": "full", "to": "idle"}]


def test_no_move_goes_to_another_kind_or_a_busy_peer_or_takes_begun_work() -> None:
    rows = [a_row(1, agent_id="full", status="in-progress"), a_row(2, agent_id="full")]
    assert plan_moves([an_agent("full", 10), an_agent("other", 0, kind="qa")], rows) == []
    assert plan_moves([an_agent("full", 10), an_agent("busy", 5)], rows) == []
    assert [move.issue_key for move in plan_moves([an_agent("full", 10), an_agent("idle", 4)], rows)] == ["acme/shop#2"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8))
def test_rebalancing_never_overloads_a_peer_and_moves_few(sizes: list[tuple[int, int]]) -> None:
    agents = [an_agent(f"a{number}", load, capacity) for number, (load, capacity) in enumerate(sizes)]
    rows = [
        a_row(number * 100 + one, agent_id=agent.name)
        for number, agent in enumerate(agents)
        for one in range(agent.load)
    ]
    moves = plan_moves(agents, rows)
    for agent in agents:
        out = sum(move.from_agent == agent.name for move in moves)
        into = sum(move.to_agent == agent.name for move in moves)
        assert out <= MAX_MOVES
        assert not (out and into)
        assert not out or agent.utilisation > OVERLOADED
        assert not into or (agent.load + into) / agent.capacity <= OVERLOADED
    assert len({move.issue_key for move in moves}) == len(moves)


async def test_escalation_is_about_this_issue() -> None:
    body = (
        "Checkout fails for 1,200 customers since version shop 3.2.0, see #7.\n\nTypeError: total is undefined\n\n##"
        " Success criteria\nOrders go through again."
    )
    rows = [
        a_row(
            100,
            hours_ago=1,
            priority="P0",
            department="developer",
            deadline_at=NOW + timedelta(minutes=20),
            agent_id="dev-1",
            status="in-progress",
        ),
        a_row(7, title="Payment provider changed its reply"),
        a_row(8, title="Checkout fails TypeError total undefined customers shop version since 1200 orders"),
    ]
    result = await escalate_issue(an_issue("Checkout fails", body), a_desk(issue_rows=rows))
    assert (result.data["severity"], result.data["seconds_left"]) == ("critical", 1200.0)
    assert result.data["assignees"] == ["manager", "operations", "security", "developer"]
    assert result.data["impact"]["stated"][0]["text"] == "1,200 customers"
    assert [one["key"] for one in result.data["impact"]["linked"]] == ["acme/shop#7"]
    steps = result.data["steps"]
    assert len(steps) == 6
    for step, words in zip(
        steps, ("dev-1", "1,200 customers", "TypeError", "dana", "#7", "Orders go through again"), strict=True
    ):
        assert words in step


async def test_escalation_of_an_untracked_issue_needs_its_priority() -> None:
    result = await escalate_issue(an_issue("Help"), a_desk())
    assert result.missing == ("the priority: this issue is not tracked yet; add a label P0, P1, P2 or P3",)


@pytest.mark.parametrize(
    ("blocked", "slow", "low", "done", "score"),
    [
        (0, False, False, 0.5, 100),
        (5, True, True, 0.0, 70),
        (3, False, True, 0.9, 89),
        (90, True, True, 0.0, 0),
        (0, False, False, 0.81, 100),
    ],
)
def test_health_follows_its_formula_within_bounds(
    blocked: int, slow: bool, low: bool, done: float, score: float
) -> None:
    assert health_score(blocked, slow, low, done) == score


async def test_kpis_are_reviewed_against_their_targets() -> None:
    rows = [
        a_row(number, hours_ago=24 * (number % 27) + 31, took_hours=30 if number % 4 == 0 else 10)
        for number in range(100)
    ]
    rows += [a_row(900, hours_ago=48, priority="P0", status="blocked"), a_row(901, hours_ago=24 * 60, took_hours=1)]
    events = [EventRow("e1", "issue.escalated", NOW - timedelta(hours=42), key="acme/shop#900")]
    desk = a_desk(issue_rows=rows, event_rows=events, agent_rows=[an_agent("a", 7), an_agent("b", 8)])
    result = await review_kpis(an_issue("Review KPIs"), desk)
    kpis = {one["name"]: one for one in result.data["kpis"]}
    assert kpis["resolution within 24 h"]["value"] == 75.0
    assert (kpis["median resolution"]["value"], kpis["median resolution"]["met"]) == (10.0, True)
    assert (kpis["velocity"]["value"], kpis["velocity"]["met"]) == (25.0, True)
    assert (kpis["health"]["value"], kpis["utilisation"]["value"]) == (100.0, 75.0)
    assert (kpis["critical escalation"]["value"], kpis["critical escalation"]["met"]) == (6.0, False)
    assert result.proposed_labels == ("kpi-missed",)


async def test_kpis_without_data_are_named_not_zeroed() -> None:
    result = await review_kpis(an_issue("Review"), a_desk(issue_rows=[a_row(1)]))
    assert all(one["value"] is None for one in result.data["kpis"])
    assert len(result.missing) == 6
    assert (await review_kpis(an_issue("Review"), a_desk())).status == "cannot_determine"
