"""Outcomes and autonomy on the command line."""

import asyncio

from bailiwick.installation import Installation, Settings
from bailiwick.kernel.ids import new_id
from tests.integration.cli.conftest import Command
from tests.support.autonomy import put_effect


def test_the_command_line_explains_sets_and_confirms(bailiwick: Command, login_url: str) -> None:
    agents = bailiwick("autonomy", "list", "--json").document["items"]
    assert all(agent["levels"] == {"read": 4, "write": 2, "external": 2, "spend": 2, "destructive": 2}
               for agent in agents)  # fmt: skip
    name = agents[0]["name"]
    assert name in bailiwick("autonomy", "list").out
    changed = bailiwick("autonomy", "set", name, "write", "5", "--reason", "a test bed", "--json")
    assert changed.code == 0, changed.err
    assert (changed.document["level"], changed.document["set_by"]) == (5, "person")
    shown = bailiwick("autonomy", "show", name)
    assert "5, act, also destructive (person: a test bed)" in shown.out
    assert "20 more acts with evidence" in shown.out
    assert "0.000 to" not in shown.out
    document = bailiwick("autonomy", "show", name, "--json").document
    assert [move["reason"] for move in document["moves"]] == ["a test bed"]
    assert document["rules"]["act"] == {"bound": 0.9, "minimum_trials": 50, "minimum_verified": 10}
    refused = bailiwick("autonomy", "set", name, "everything", "3", "--reason", "why not")
    assert refused.code == 2
    assert "no class 'everything'" in refused.err


def test_rules_are_shown_changed_and_checked(bailiwick: Command) -> None:
    assert bailiwick("autonomy", "rules", "--set", '{"is_automatic": true}', "--json").document["is_automatic"] is True
    assert bailiwick("autonomy", "rules", "--json").document["is_automatic"] is True
    assert "is_automatic" in bailiwick("autonomy", "rules").out
    refused = bailiwick("autonomy", "rules", "--set", '{"confidence": 7}')
    assert refused.code == 2
    assert "confidence" in refused.err


def test_a_promotion_is_confirmed_or_refused(bailiwick: Command, login_url: str) -> None:
    agents = bailiwick("autonomy", "list", "--json").document["items"]
    first, second = (asyncio.run(earned(login_url, agent["agent_id"])) for agent in agents[:2])
    assert first in bailiwick("autonomy", "promotions", "--state", "proposed").out
    confirmed = bailiwick("autonomy", "confirm", first, "--json")
    assert confirmed.code == 0, confirmed.err
    assert confirmed.document["state"] == "confirmed"
    assert bailiwick("autonomy", "confirm", first).code != 0
    assert bailiwick("autonomy", "refuse", second, "--reason", "not yet").code == 0
    states = {one["id"]: one["state"] for one in bailiwick("autonomy", "promotions", "--json").document["items"]}
    assert states == {first: "confirmed", second: "refused"}


def test_outcomes_are_listed_and_reported(bailiwick: Command, login_url: str) -> None:
    outcome_id = asyncio.run(expected(login_url))
    listed = bailiwick("outcomes", "list", "--state", "pending", "--json").document["items"]
    assert [one["id"] for one in listed] == [outcome_id]
    assert outcome_id in bailiwick("outcomes", "list").out
    assert "nobody opens it again" in bailiwick("outcomes", "show", outcome_id).out
    assert bailiwick("outcomes", "show", new_id()).code != 0
    (line,) = bailiwick("outcomes", "report", "--json").document["items"]
    assert (line["effect_class"], line["pending"], line["verified"], line["success"]) == ("result", 1, 0, None)
    assert "not known" in bailiwick("outcomes", "report").out
    names = [check["name"] for check in bailiwick("outcomes", "checks", "--json").document["items"]]
    assert {"event.absent", "event.present", "metric.below_baseline", "metric.above", "effect.still_stands"} <= {*names}


async def earned(login_url: str, agent_id: str) -> str:
    """Let an agent earn to act with notice; return the promotion that waits."""
    async with Installation.open(Settings(database_url=login_url)) as installation:  # type: ignore[arg-type]
        home = (await installation.home()).id
        async with installation.database.transaction(home) as connection:
            await installation.autonomy.level(home, agent_id, "write", connection=connection)
        for _ in range(20):
            effect = put_effect(login_url, org=home, agent=agent_id)
            async with installation.database.transaction(home) as connection:
                await installation.autonomy.record_decision(
                    home, agent_id, "write", "approved", effect_id=effect, connection=connection
                )
        page = await installation.standings.promotions(home, state="proposed")
        return next(one.id for one in page.items if one.agent_id == agent_id)


async def expected(login_url: str) -> str:
    """State an expectation of a task in the home organization."""
    async with Installation.open(Settings(database_url=login_url)) as installation:  # type: ignore[arg-type]
        home = (await installation.home()).id
        outcome_id = new_id()
        await installation.database.execute(
            'insert into outcomes (id, organization_id, task_id, "check", claim, arguments, check_at) '
            "values (%s, %s, %s, 'event.absent', 'nobody opens it again', "
            """'{"type": "issue.reopened", "key": "acme/shop#7"}', now() + interval '14 days')""",
            (outcome_id, home, new_id()),
            organization_id=home,
        )
        return outcome_id
