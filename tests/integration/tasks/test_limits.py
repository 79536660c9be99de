"""Limits hold back and let go: pauses, concurrency, rates over time, circuit breakers of agents and connectors."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bailiwick.agents import AgentDirectory, NewAgent
from bailiwick.kernel.errors import CannotDetermineError, CircuitOpenError, InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.storage.rows import RowFields, batch
from bailiwick.tasks import NewTask, RetryPolicy, Run
from bailiwick.tasks.limits import FAILURES_TO_OPEN, AgentBreakers, Limit, Limits
from tests.support.engine import AnyPayload, Engine, until

ONCE = RetryPolicy(max_attempts=1)


class Bounded:
    """An engine with limits, agents and breakers, whose time is moved in the database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.org = engine.organization_id
        self.limits = Limits(engine.database, engine.wakeups)
        self.breakers = AgentBreakers(self.limits)
        self.directory = AgentDirectory(engine.database, {"clerk": "clerk.work"})
        self.ran: list[str] = []
        self.is_broken = True
        engine.handles("clerk.work", self._work, retry=ONCE)
        engine.handles("note", self._note)

    async def _work(self, run: Run, payload: AnyPayload) -> str:
        self.ran.append(run.task.id)
        if self.is_broken:
            raise RuntimeError("the outside does not answer")
        return "done"

    async def _note(self, run: Run, payload: AnyPayload) -> str:
        self.ran.append(run.task.id)
        return "noted"

    async def work(self) -> None:
        """Start a worker whose attempts are counted."""
        worker = await self.engine.work()
        worker.observers.append(self.breakers.observe)

    async def agent(self, name: str = "Ada") -> str:
        """Hire an agent and return its id."""
        return (await self.directory.create_many(self.org, [NewAgent("clerk", name, {})]))[0].id

    async def limit(self, subject: str) -> Limit | None:
        """Return the limit of a subject, if it has one."""
        await self.breakers.drain()
        return next((one for one in await self.limits.list(self.org) if one.subject == subject), None)

    async def is_open(self, agent_id: str) -> bool:
        """Tell whether an agent's breaker is open."""
        found = await self.limit(f"agent:{agent_id}")
        return found is not None and found.blocked_until is not None

    async def cool_down(self) -> None:
        """Let the cool-down of every breaker be over."""
        await self.engine.inspector.execute(
            "update limits set blocked_until = now() - interval '1 second' where blocked_until is not null"
        )
        self.engine.wakeups.announce("bailiwick_due")

    async def count(self, state: str) -> int:
        """Count live tasks in a state."""
        row = await self.engine.inspector.fetch_one("select count(*) as n from tasks where state::text = %s", (state,))
        return row["n"] if row else 0


@pytest.fixture
async def bounded(engine: Engine) -> AsyncIterator[Bounded]:
    found = Bounded(engine)
    yield found
    await found.breakers.drain()


async def trip(bounded: Bounded, agent_id: str) -> None:
    """Let five tasks of an agent fail."""
    tasks = [await bounded.engine.add("clerk.work", agent_id=agent_id) for _ in range(FAILURES_TO_OPEN)]
    await bounded.engine.all_ended(tasks)
    await until(lambda: bounded.is_open(agent_id), "the breaker opens")


class TestAgentBreakers:
    async def test_five_failures_in_a_row_stop_the_agent_and_nobody_else(self, bounded: Bounded) -> None:
        await bounded.work()
        broken, sound = await bounded.agent("Ada"), await bounded.agent("Bo")
        await trip(bounded, broken)
        held = [await bounded.engine.add("clerk.work", agent_id=broken) for _ in range(3)]
        bounded.is_broken = False
        free = await bounded.engine.add("clerk.work", agent_id=sound)
        assert (await bounded.engine.ended(free))["state"] == "completed"
        assert not set(held) & set(bounded.ran)
        assert await bounded.count("available") == 3

    async def test_after_the_cool_down_one_probe_goes_first_and_its_success_lets_all_go(self, bounded: Bounded) -> None:
        await bounded.work()
        agent = await bounded.agent()
        await trip(bounded, agent)
        probing, allowed = asyncio.Event(), asyncio.Event()

        async def wait(run: Run, payload: AnyPayload) -> str:
            bounded.ran.append(run.task.id)
            probing.set()
            await allowed.wait()
            return "done"

        bounded.engine.handles("slow", wait)
        held = [await bounded.engine.add("slow", agent_id=agent) for _ in range(4)]
        bounded.ran.clear()
        await bounded.cool_down()
        await probing.wait()
        # Whoever looks meanwhile gets none: one probe at a time.
        assert await bounded.engine.inspector.fetch_one(
            "select lane_room(%s, %s) as room", (bounded.org, f"agent:{agent}")
        ) == {"room": 0}
        assert len(bounded.ran) == 1
        allowed.set()
        await bounded.engine.all_ended(held)
        assert not await bounded.is_open(agent)
        # Nothing is left of it, so later tasks have no lane to be looked up.
        assert await bounded.limit(f"agent:{agent}") is None

    async def test_a_probe_that_fails_opens_it_again(self, bounded: Bounded) -> None:
        await bounded.work()
        agent = await bounded.agent()
        await trip(bounded, agent)
        held = [await bounded.engine.add("clerk.work", agent_id=agent) for _ in range(3)]
        bounded.ran.clear()
        await bounded.cool_down()
        await until(lambda: _has_ended(bounded, held), "the probe ends")

        async def is_open_anew() -> bool:
            found = await bounded.limit(f"agent:{agent}")
            return found is not None and found.consecutive_failures == FAILURES_TO_OPEN + 1

        await until(is_open_anew, "the breaker opens again")
        assert len(bounded.ran) == 1
        assert await bounded.count("available") == 2

    async def test_a_success_in_between_begins_the_count_anew(self, bounded: Bounded) -> None:
        await bounded.work()
        agent = await bounded.agent()
        for is_broken in (True, True, True, True, False, True, True, True, True):
            bounded.is_broken = is_broken
            await bounded.engine.ended(await bounded.engine.add("clerk.work", agent_id=agent))
            await bounded.breakers.drain()
        found = await bounded.limit(f"agent:{agent}")
        assert found is not None
        assert (found.consecutive_failures, found.blocked_until) == (4, None)

    async def test_a_task_that_lacks_its_input_is_not_held_against_the_agent(self, bounded: Bounded) -> None:
        async def lack(run: Run, payload: AnyPayload) -> None:
            raise CannotDetermineError("a history of sales")

        bounded.engine.handles("lacking", lack, retry=ONCE)
        await bounded.work()
        agent = await bounded.agent()
        await bounded.engine.all_ended([await bounded.engine.add("lacking", agent_id=agent) for _ in range(6)])
        assert await bounded.limit(f"agent:{agent}") is None

    async def test_the_choice_of_agents_passes_over_an_open_breaker_with_the_reason(self, bounded: Bounded) -> None:
        await bounded.work()
        broken, sound = await bounded.agent("Ada"), await bounded.agent("Bo")
        await trip(bounded, broken)
        choice = await bounded.directory.choose(bounded.org, "clerk.work")
        assert choice.agent_id == sound
        ((name, because),) = choice.barred
        assert name == "Ada"
        assert "5 failures in a row: the outside does not answer" in because
        await bounded.cool_down()
        assert (await bounded.directory.choose(bounded.org, "clerk.work")).barred == ()

    async def test_a_person_may_close_it_before_its_time(self, bounded: Bounded) -> None:
        await bounded.work()
        agent = await bounded.agent()
        await trip(bounded, agent)
        task = await bounded.engine.add("clerk.work", agent_id=agent)
        bounded.is_broken = False
        await bounded.limits.resume(bounded.org, f"agent:{agent}")
        assert (await bounded.engine.ended(task))["state"] == "completed"

    async def test_a_failure_while_paused_does_not_hide_why_it_is_paused(self, bounded: Bounded) -> None:
        for _ in range(FAILURES_TO_OPEN - 1):
            await bounded.limits.record(bounded.org, "agent:x", "down")
        await bounded.limits.pause(bounded.org, "agent:x", reason="on holiday")
        await bounded.limits.record(bounded.org, "agent:x", "down")
        found = await bounded.limit("agent:x")
        assert found is not None
        assert found.reason == "on holiday"
        await bounded.limits.record(bounded.org, "agent:x", None)
        found = await bounded.limit("agent:x")
        assert found is not None
        assert (found.is_paused, found.blocked_until, found.reason) == (True, None, "on holiday")


async def _has_ended(bounded: Bounded, task_ids: list[str]) -> bool:
    row = await bounded.engine.inspector.fetch_one(
        "select count(*) as n from finished_tasks where id = any(%s::uuid[])", (task_ids,)
    )
    return row is not None and row["n"] > 0


class TestConnectorBreakers:
    async def test_calls_are_refused_from_the_fifth_failure_until_the_cool_down_is_over(self, bounded: Bounded) -> None:
        subject = "connector:github:acme/shop"
        for _ in range(FAILURES_TO_OPEN):
            await bounded.limits.check(bounded.org, subject)
            await bounded.limits.record(bounded.org, subject, "no answer within 30 s")
        with pytest.raises(CircuitOpenError, match=r"acme/shop is stopped until .* no answer within 30 s"):
            await bounded.limits.check(bounded.org, subject)
        await bounded.limits.check(new_id(), subject)
        await bounded.cool_down()
        await bounded.limits.check(bounded.org, subject)
        await bounded.limits.record(bounded.org, subject, None)
        assert await bounded.limit(subject) is None


class TestPauses:
    @pytest.mark.parametrize("subject", ["organization", "kind:note", "agent"])
    async def test_a_paused_subject_starts_nothing_until_it_is_resumed(self, bounded: Bounded, subject: str) -> None:
        agent = await bounded.agent()
        subject = f"agent:{agent}" if subject == "agent" else subject
        # Queued before, so that queued tasks must follow the pause, too.
        before = await bounded.engine.add("note", agent_id=agent)
        await bounded.limits.pause(bounded.org, subject, reason="stocktaking")
        after = await bounded.engine.add("note", agent_id=agent)
        await bounded.work()
        bounded.is_broken = False
        elsewhere = new_id() if subject == "organization" else bounded.org
        other = await bounded.engine.queue.enqueue(elsewhere, NewTask("clerk.work"))
        await bounded.engine.ended(other.task_id)
        assert not {before, after} & set(bounded.ran)
        await bounded.limits.resume(bounded.org, subject)
        await bounded.engine.all_ended([before, after])

    async def test_what_is_being_added_while_a_pause_begins_is_held_back_too(self, bounded: Bounded) -> None:
        engine, adding = bounded.engine, new_id()
        row: RowFields = {"id": adding, "org": bounded.org, "kind": "note"}

        async def is_paused() -> bool:
            return any(one.is_paused for one in await bounded.limits.list(bounded.org))

        async with engine.inspector.transaction() as connection:
            await connection.execute("select * from task_enqueue(%s::jsonb)", (batch([row]),))
            pausing = asyncio.create_task(bounded.limits.pause(bounded.org, "organization"))
            await until(is_paused, "the pause is known to whoever comes later")
        await pausing
        await bounded.work()
        other = await engine.queue.enqueue(new_id(), NewTask("note"))
        await engine.ended(other.task_id)
        assert bounded.ran == [other.task_id]
        await bounded.limits.resume(bounded.org, "organization")
        await engine.ended(adding)


class TestConcurrencyAndRates:
    async def test_no_more_run_at_once_than_allowed_over_all_workers(self, bounded: Bounded) -> None:
        running, most = 0, 0

        async def busy(run: Run, payload: AnyPayload) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

        bounded.engine.handles("busy", busy)
        await bounded.limits.set(bounded.org, "kind:busy", max_concurrency=3)
        tasks = [await bounded.engine.add("busy") for _ in range(30)]
        await bounded.engine.work()
        await bounded.engine.work()
        await bounded.engine.all_ended(tasks, seconds=30)
        assert most == 3

    async def test_a_rate_lets_the_burst_go_and_then_one_for_each_token(self, bounded: Bounded) -> None:
        # One token in a hundred seconds: no time that passes by itself plays a part.
        await bounded.limits.set(bounded.org, "kind:note", rate_per_second=0.01, burst=3)
        tasks = [await bounded.engine.add("note") for _ in range(8)]
        await bounded.work()
        await until(lambda: _ended_are(bounded, tasks, 3), "the burst runs")
        await bounded.engine.inspector.execute("update limits set refilled_at = refilled_at - interval '201 seconds'")
        bounded.engine.wakeups.announce("bailiwick_tasks")
        await until(lambda: _ended_are(bounded, tasks, 5), "two more run")
        # However long it was quiet, the bucket holds no more than its burst.
        await bounded.engine.inspector.execute("update limits set refilled_at = refilled_at - interval '1 day'")
        bounded.engine.wakeups.announce("bailiwick_tasks")
        await until(lambda: _ended_are(bounded, tasks, 8), "the last three run")
        assert await bounded.limit("kind:note") is not None

    async def test_a_slow_rate_begins_with_a_full_bucket(self, bounded: Bounded) -> None:
        await bounded.limits.set(bounded.org, "kind:note", rate_per_second=0.001)
        await bounded.work()
        await bounded.engine.ended(await bounded.engine.add("note"))

    async def test_a_waiting_token_starts_the_next_task_by_itself(self, bounded: Bounded) -> None:
        await bounded.limits.set(bounded.org, "kind:note", rate_per_second=50, burst=1)
        tasks = [await bounded.engine.add("note") for _ in range(10)]
        await bounded.work()
        await bounded.engine.all_ended(tasks)

    async def test_several_limits_hold_together(self, bounded: Bounded) -> None:
        agent = await bounded.agent()
        await bounded.limits.set(bounded.org, "organization", max_concurrency=5)
        await bounded.limits.set(bounded.org, "kind:note", max_concurrency=0)
        task = await bounded.engine.add("note", agent_id=agent)
        await bounded.work()
        bounded.is_broken = False
        await bounded.engine.ended(await bounded.engine.add("clerk.work"))
        assert bounded.ran.count(task) == 0
        await bounded.limits.set(bounded.org, "kind:note")
        await bounded.engine.ended(task)

    @pytest.mark.parametrize(
        ("subject", "bounds", "reason"),
        [
            ("everything", {"max_concurrency": 1}, "cannot be limited"),
            ("organization", {"max_concurrency": -1}, "max_concurrency"),
            ("organization", {"max_concurrency": 2**40}, "max_concurrency"),
            ("organization", {"rate_per_second": 0}, "pause it"),
            ("organization", {"rate_per_second": 1e12}, "rate_per_second"),
            ("organization", {"rate_per_second": float("nan")}, "rate_per_second"),
            ("organization", {"rate_per_second": 1, "burst": 1e12}, "burst"),
        ],
    )
    async def test_bounds_that_cannot_hold_are_refused(
        self, bounded: Bounded, subject: str, bounds: dict[str, float], reason: str
    ) -> None:
        with pytest.raises(InvalidInputError, match=reason):
            await bounded.limits.set(bounded.org, subject, **bounds)  # type: ignore[arg-type]
        assert await bounded.limits.list(bounded.org) == []


async def _ended_are(bounded: Bounded, task_ids: list[str], wanted: int) -> bool:
    row = await bounded.engine.inspector.fetch_one(
        "select count(*) as n from finished_tasks where id = any(%s::uuid[])", (task_ids,)
    )
    found = 0 if row is None else row["n"]
    assert found <= wanted
    return found == wanted
