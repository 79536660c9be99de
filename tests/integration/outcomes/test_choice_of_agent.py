"""Whoever is chosen by success is not chosen for what nobody has proven yet."""

from bailiwick.agents import AgentDirectory
from bailiwick.identity import Organizations
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from tests.integration.outcomes.test_report import put_outcome


async def test_only_what_worked_or_promised_nothing_counts_as_success(database: Database, login_url: str) -> None:
    organization_id = (await Organizations(database).create("Acme")).id
    directory = AgentDirectory(database, {"noter": "noter.work"})
    agent = await directory.create(organization_id, "noter", "Nora")
    await database.execute(
        "insert into task_totals values (%s, 'noter.work', %s, 'completed', 10, 1, 0, 0, 0)",
        (organization_id, agent.id),
        organization_id=organization_id,
    )
    (candidate,) = await directory.candidates(organization_id, "noter.work")
    assert (candidate.successes, candidate.failures) == (10, 0)
    twice = new_id()
    for state, task in (
        ("worked", new_id()), ("pending", new_id()), ("unknown", new_id()), ("did_not", twice), ("did_not", twice),
    ):  # fmt: skip
        put_outcome(login_url, organization_id, state=state, task=task, agent=agent.id)
    (candidate,) = await directory.candidates(organization_id, "noter.work")
    assert (candidate.successes, candidate.failures) == (7, 1)
    # A glance right after proves nothing.
    put_outcome(login_url, organization_id, state="worked", agent=agent.id, days=0.5)
    (candidate,) = await directory.candidates(organization_id, "noter.work")
    assert (candidate.successes, candidate.failures) == (6, 1)
