"""The orchestrator's jobs are ordinary schedules, and each says something true."""

from datetime import UTC, datetime, timedelta

import psycopg
from pydantic import SecretStr

from bailiwick.agents import NewAgent
from bailiwick.audit import EntryFilter
from bailiwick.installation import Installation, Settings
from bailiwick.kernel.ids import id_at, new_id
from bailiwick.tasks.schedules import NewSchedule
from tests.integration.orchestrator.conftest import WARD, Platform

JOBS = {"system.sync": 300, "system.learn": 1800, "system.analyse_performance": 3600}


class TestSchedules:
    async def test_every_organization_has_the_jobs_and_home_the_installations_own(self, platform: Platform) -> None:
        installations = {"system.health": 60, "system.audit": 3600, "system.budgets": 300}
        for organization_id, extra in ((platform.organization_id, {}), (platform.home_id, installations)):
            page = await platform.installation.schedules.list(organization_id, limit=100)
            found = {one.name: one for one in page.items if one.name.startswith("system.")}
            nightly = {"system.retain", "system.remove", "system.sessions"}
            assert found.keys() - nightly == (JOBS | extra).keys()
            for name, seconds in (JOBS | extra).items():
                assert found[name].interval_seconds == seconds
                assert (found[name].overlap, found[name].catch_up) == ("skip", "latest")
                assert found[name].jitter_seconds > 0
                assert found[name].next_fire_at is not None
            assert found.keys() & nightly == (nightly if extra else set())

    async def test_a_job_is_paused_resumed_and_run_now_and_remembers_its_last_run(self, platform: Platform) -> None:
        schedules, org = platform.installation.schedules, platform.organization_id
        await schedules.pause(org, "system.sync")
        assert (await schedules.get(org, "system.sync")).is_paused
        await schedules.resume(org, "system.sync")
        await platform.run("system.sync")
        last = await schedules.get(org, "system.sync")
        assert last.last_state == "completed"
        assert last.last_fire_at is not None
        assert last.last_finished_at is not None
        assert last.last_fire_at <= last.last_finished_at

    async def test_what_a_person_changes_outlives_the_next_start(self, platform: Platform) -> None:
        schedules, org = platform.installation.schedules, platform.organization_id
        await schedules.put(org, NewSchedule("system.learn", "system.learn", {"min_outcomes": 3}, interval_seconds=900))
        await platform.installation.ensure_organization(WARD)
        found = await schedules.get(org, "system.learn")
        assert (found.interval_seconds, found.payload) == (900, {"min_outcomes": 3})


class TestHealth:
    async def test_it_measures_and_records_an_event_only_when_the_status_changes(self, platform: Platform) -> None:
        # The machine of the tests may be busy; only what the test does shall matter.
        calm = {"cpu_percent": 1000, "memory_percent": 1000, "response_seconds": 60}
        await platform.installation.schedules.put(
            platform.home_id,
            NewSchedule("system.health", "system.health", {"thresholds": calm}, interval_seconds=60),
        )
        first = await platform.health()
        assert (first["status"], first["previous"], first["findings"]) == ("ok", None, [])
        measured = first["measured"]
        assert measured["workers_alive"] == 1
        assert measured["worker_slots"] == 100
        assert 0 < measured["database_round_trip_seconds"] < 60
        assert measured["database_bytes"] > 1_000_000
        assert measured["tasks_by_state"] == {"executing": 1}
        assert "disk" in measured["not_measured"]
        assert (await platform.health())["previous"] == "ok"
        assert len(await platform.events("health.checked", platform.home_id)) == 1

        await platform.do(fails=True)
        worse = await platform.health()
        assert worse["status"] == "warn"
        (finding,) = worse["findings"]
        assert "it was told to fail" in finding["what"]
        assert (finding["measured"], finding["threshold"]) == (1, 0)
        newest, oldest = await platform.events("health.checked", platform.home_id)
        assert (oldest["status"], newest["status"], newest["previous"]) == ("ok", "warn", "ok")
        assert newest["findings"] == worse["findings"]

    async def test_it_finds_what_stands_still(self, platform: Platform) -> None:
        database, org = platform.installation.database, platform.organization_id
        await platform.installation.limits.pause(org, "kind:note")
        for _ in range(5):
            await platform.installation.limits.record(org, "connector:github:acme/shop", "no answer")
        await database.execute(
            "insert into tasks (id, organization_id, kind, state, priority, payload, inserted_at) values "
            "(gen_random_uuid(), %(org)s, 'unknown', 'available', 2, '{}', now() - interval '2 hours'), "
            "(gen_random_uuid(), %(org)s, 'note', 'waiting', 2, '{}', now())",
            {"org": org},
            organization_id=org,
        )
        await database.execute(
            "insert into workers (id, name, host, pid, state, code_version, concurrency, lease_until) values "
            "(gen_random_uuid(), 'lost', 'here', 1, 'dead', '0', 10, now() - interval '1 minute')"
        )
        await database.execute(
            "insert into rejected_records (id, organization_id, source, reason, raw) "
            "values (partition_bound(now()), %s, 'csv', 'no title', '')",
            (org,),
            organization_id=org,
        )
        platform.installation.registry.failed.append("weather: ImportError: no module")
        found = await platform.health()
        assert found["status"] == "fail"
        text = " | ".join(finding["what"] for finding in found["findings"])
        for word in ("oldest task that could run (unknown)", "waits that nothing can end", "workers lost",
                     "no answer", "weather: ImportError", "no title"):  # fmt: skip
            assert word in text
        assert found["measured"]["oldest_ready_seconds"] > 7000


class TestLearning:
    async def test_learners_learn_and_agents_are_spoken_of_once_there_is_enough(self, platform: Platform) -> None:
        org, directory = platform.organization_id, platform.installation.directory
        kind = sorted(platform.installation.registry.agent_kinds)[0]
        ada, bo = await directory.create_many(org, [NewAgent(kind, "Ada", {}), NewAgent(kind, "Bo", {})])
        await platform.do(agent_id=ada.id, times=5)
        await platform.do(agent_id=bo.id, times=3, fails=True)
        early = await platform.run("system.learn")
        assert early["status"] == "too few new outcomes to say anything about the agents"
        assert (early["new_outcomes"], early["needed"], early["changes"]) == (8, 10, [])
        learners = {one["kind"]: one for one in early["learners"]}
        assert learners["bread.learn"]["result"] == {"loaves": 3}
        assert learners["cake.learn"]["state"] == "discarded"
        assert "a history of cakes" in learners["cake.learn"]["reason"]
        assert await platform.events("learning.updated") == []

        await platform.do(agent_id=ada.id, times=4)
        await platform.installation.database.execute(
            'insert into outcomes (id, organization_id, task_id, agent_id, "check", claim, state, check_at, '
            "checked_at) values (%s, %s, %s, %s, 'c', 'c', 'did_not', now(), now())",
            (new_id(), org, new_id(), ada.id),
            organization_id=org,
        )
        await platform.installation.database.execute(
            "update agents set capabilities = array(select kind from task_totals t where t.agent_id = agents.id) "
            "where id = %s",
            (ada.id,),
            organization_id=org,
        )
        told = await platform.run("system.learn")
        # What was promised and found not kept is a failure, as it is for the choice of agents.
        (counts,) = [counts for agents in told["outcomes"].values() for one, counts in agents.items() if one == ada.id]
        assert counts == [8, 1]
        assert told["new_outcomes"] == 12
        assert told["status"] == "2 first estimates, 0 changed, 0 of them clearly"
        changes = {change["agent"]: change for change in told["changes"]}
        assert changes["Ada"]["after"] > changes["Bo"]["after"] > 0
        assert (changes["Ada"]["trials"], changes["Bo"]["new_outcomes"]) == (9, 3)
        (event,) = await platform.events("learning.updated")
        assert event["new_outcomes"] == 12
        assert "bread.learn" in event["learners"]

        again = await platform.run("system.learn")
        assert again["new_outcomes"] == 0
        assert again["since"] is not None


class TestPerformance:
    async def test_without_a_past_it_measures_and_compares_nothing(self, platform: Platform) -> None:
        await platform.do(times=6)
        await platform.do(fails=True, times=2)
        found = await platform.run("system.analyse_performance")
        assert found["verdict"].startswith("too few tasks to compare: 20")
        (notes,) = [group for group in found["groups"] if group["kind"] == "note"]
        assert (notes["tasks"], notes["failure_share"]) == (8, 0.25)
        assert notes["failure_low"] < 0.25 < notes["failure_high"]
        assert notes["wait_p50_seconds"] <= notes["wait_p95_seconds"]
        assert 0 <= notes["execution_p50_seconds"] <= notes["execution_p95_seconds"]
        (event,) = await platform.events("performance.analysed")
        assert event["verdict"] == found["verdict"]

    async def test_a_kind_that_became_slow_is_a_regression(self, platform: Platform) -> None:
        await platform.do(times=60)
        # Thirty of them ended an hour and a half ago; the later ones took ten seconds each.
        await platform.installation.database.execute(
            "update finished_tasks f set inserted_at = f.inserted_at - x.ago, started_at = f.started_at - x.ago, "
            "finished_at = f.finished_at - x.ago from (select id, case when row_number() over (order by id) <= 30 "
            "then interval '90 minutes' else interval '0' end as ago from finished_tasks where kind = 'note') as x "
            "where x.id = f.id",
            organization_id=platform.organization_id,
        )
        calm = await platform.run("system.analyse_performance")
        assert calm["compared_groups"] == 1
        await platform.installation.database.execute(
            "update finished_tasks set started_at = started_at - interval '10 seconds', "
            "inserted_at = inserted_at - interval '10 seconds' "
            "where kind = 'note' and finished_at > now() - interval '1 hour'",
            organization_id=platform.organization_id,
        )
        slow = await platform.run("system.analyse_performance")
        (change,) = [one for one in slow["regressions"] if one["measure"] == "execution"]
        assert (change["kind"], change["is_worse"], change["period_seconds"]) == ("note", True, 3600)
        assert change["now"] > 10 > change["before"]
        assert change["p_value"] < 0.001

    async def test_an_organization_without_tasks_is_told_so(self, platform: Platform) -> None:
        found = await platform.run("system.analyse_performance")
        assert (found["verdict"], found["groups"]) == ("no task ended in this time", [])
        assert await platform.events("performance.analysed") == []


class TestRetention:
    async def test_old_months_keys_and_workers_go_and_are_listed(self, platform: Platform) -> None:
        database = platform.installation.database
        for parent in ("events", "finished_tasks", "steps"):
            await database.fetch_one("select partitions_ensure(%s, now() - interval '15 months', 0)", (parent,))
        await database.execute(
            "insert into task_keys (organization_id, key, task_id, inserted_at) "
            "values (%s, 'old', gen_random_uuid(), now() - interval '15 months')",
            (platform.organization_id,),
            organization_id=platform.organization_id,
        )
        await database.execute(
            "insert into workers (id, name, host, pid, state, code_version, concurrency, heartbeat_at, lease_until) "
            "select gen_random_uuid(), 'old', 'here', 1, s, '0', 10, now() - interval '8 days', "
            "now() - interval '8 days' from unnest(array['dead', 'stopped', 'draining']) as s"
        )
        result = await platform.run("system.retain", organization_id=platform.home_id)
        month = (datetime.now(UTC).year * 12 + datetime.now(UTC).month - 1) - 15
        suffix = f"{month // 12}_{month % 12 + 1:02}"
        assert result["partitions_dropped"] == [
            f"events_{suffix}", f"finished_tasks_{suffix}", f"steps_{suffix}",
        ]  # fmt: skip
        assert (result["task_keys_deleted"], result["event_keys_deleted"], result["workers_deleted"]) == (1, 0, 2)
        assert result["held_back_by"] is None
        left = await database.fetch_one("select count(*) as n from workers where state = 'active'")
        assert left == {"n": 1}

    async def test_an_unfinished_old_task_holds_its_months_back_and_is_named(self, platform: Platform) -> None:
        database = platform.installation.database
        await database.fetch_one("select partitions_ensure('steps', now() - interval '15 months', 0)")
        await database.execute(
            "insert into tasks (id, organization_id, kind, state, priority, payload, inserted_at, wait_event, "
            "wait_key) "
            "values (gen_random_uuid(), %s, 'note', 'waiting', 2, '{}', now() - interval '16 months', 'never', 'x')",
            (platform.organization_id,),
            organization_id=platform.organization_id,
        )
        result = await platform.run("system.retain", organization_id=platform.home_id)
        assert result["partitions_dropped"] == []
        assert "(note, waiting)" in result["held_back_by"]


class TestRemoval:
    async def test_what_is_past_goes_and_a_month_of_decisions_once_it_is_empty(
        self, platform: Platform, login_url: str
    ) -> None:
        now = datetime.now(UTC)
        _put_decided(login_url, platform.organization_id, now - timedelta(days=480), "read")
        _put_decided(login_url, platform.organization_id, now - timedelta(days=560), "write")
        result = await platform.run("system.remove", organization_id=platform.home_id)
        assert result["rows_removed"] == {"decisions": 1, "effects": 1}
        assert result["partitions_dropped"] == [f"decisions_{now - timedelta(days=480):%Y_%m}"]
        told = await platform.installation.audit.list(platform.organization_id, EntryFilter(action="retention.removed"))
        assert [entry.after for entry in told.items] == [result["rows_removed"]]
        left = await platform.installation.database.fetch_all(
            "select e.effect_class from effects e join decisions d on d.id = e.decision_id",
            organization_id=platform.organization_id,
        )
        assert [row["effect_class"] for row in left] == ["write"]
        again = await platform.run("system.remove", organization_id=platform.home_id)
        assert (again["rows_removed"], again["partitions_dropped"]) == ({}, [])


def _put_decided(login_url: str, organization_id: str, at: datetime, effect_class: str) -> None:
    """Put an effect of the past with its decision past the rules of their birth; its run is gone."""
    values = {"id": id_at(at), "org": organization_id, "class": effect_class, "at": at}
    with psycopg.connect(login_url) as connection:
        connection.execute("select partitions_ensure('decisions', %(at)s, 0)", values)
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "insert into decisions (id, organization_id, task_id, tool, effect_class, target, price, outcome, voice, "
            "rule, reason, policy_version, ceiling_version, level, notice, is_shadow, considered, proposal, given, "
            "decided_at) values (%(id)s, %(org)s, %(id)s, 'folder.append', %(class)s, 'file:file', 0, 'allow', "
            "'level', 'level', 'it may', 0, 0, 4, false, false, '[]', '{}', '{}', %(at)s)",
            values,
        )
        connection.execute(
            "insert into effects (id, organization_id, task_id, seq, fence, tool, tool_version, effect_class, "
            "arguments, target, digest, state, decision_id, reason, proposed_at, began_at, ended_at) values (%(id)s, "
            "%(org)s, %(id)s, 0, 1, 'folder.append', '1', %(class)s, '{}', 'file:file', repeat('a', 64), 'verified', "
            "%(id)s, 'a test wants it', %(at)s, %(at)s, %(at)s)",
            values,
        )


async def test_the_interval_of_the_health_check_is_a_setting(login_url: str) -> None:
    settings = Settings(database_url=SecretStr(login_url), health_seconds=5)
    async with Installation.open(settings) as installation:
        await installation.first_start()
        home = await installation.home()
        assert (await installation.schedules.get(home.id, "system.health")).interval_seconds == 5
