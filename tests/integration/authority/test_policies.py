"""Policies by version: put, refused, looked back at, and what is in force."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from bailiwick.audit import SYSTEM, EntryFilter
from bailiwick.authority import PolicyRecord, Proposal
from bailiwick.authority.policies import PolicyTestsFailedError
from bailiwick.authority.policy.entries import PolicySyntaxError
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.privacy.consents import Evidence
from bailiwick.privacy.identifiers import Identifier
from tests.integration.api.conftest import Premises, premises

__all__ = ["premises"]

NOTES = """\
rules:
  - name: notes
    because: notes are harmless
    when: {tool: note.write}
    then: allow
tests:
  - proposal: {tool: note.write}
    expect: {outcome: allow, rule: notes}
"""
NO_NOTES = "rules:\n  - {name: no-notes, when: {tool: note.write}, then: deny}\n"


async def _decided(premises: Premises, organization_id: str, **fields: Any) -> Any:
    premises.installation.authority.knows_tool = {"note.write"}.__contains__
    found = await premises.installation.directory.list(organization_id)
    agent = found.items[0] if found.items else await premises.installation.directory.create(
        organization_id, "noter", "Nora"
    )  # fmt: skip
    given: dict[str, Any] = {
        "organization_id": organization_id, "task_id": new_id(), "tool": "note.write", "effect_class": "write",
        "arguments": {}, "target": "note:1", "at": datetime.now(UTC), "agent_id": agent.id, "is_reversible": True,
    }  # fmt: skip
    authority, proposal = premises.installation.authority, Proposal(**{**given, **fields})
    consent = await authority.consent_of(proposal)
    async with premises.installation.database.transaction(organization_id) as connection:
        return await authority.decide(proposal, connection=connection, consent=consent)


async def test_a_policy_decides_from_the_next_decision_on_and_is_named_by_version(premises: Premises) -> None:
    policies, acme = premises.installation.policies, premises.acme.id
    assert (await _decided(premises, acme)).voice == "level"
    made = await policies.put(acme, NOTES, actor=SYSTEM)
    decision = await _decided(premises, acme)
    assert (decision.outcome, decision.rule, decision.reason) == ("allow", "notes", "notes are harmless")
    assert (decision.policy_version, decision.policy_mark) == (made.version, "1/0")
    await policies.put(acme, NO_NOTES, actor=SYSTEM)
    assert (await _decided(premises, acme)).rule == "no-notes"


async def test_a_policy_of_one_organization_is_nothing_to_another(premises: Premises) -> None:
    await premises.installation.policies.put(premises.rival.id, NO_NOTES, actor=SYSTEM)
    assert (await _decided(premises, premises.acme.id)).voice == "level"
    with pytest.raises(NotFoundError):
        await premises.installation.policies.get(premises.acme.id)


async def test_the_ceiling_holds_for_every_organization_whatever_its_own_policy_says(premises: Premises) -> None:
    policies = premises.installation.policies
    await policies.put(premises.acme.id, NOTES, actor=SYSTEM)
    await policies.put(INSTALLATION, NO_NOTES, actor=SYSTEM)
    for organization in (premises.acme, premises.rival):
        decision = await _decided(premises, organization.id)
        assert (decision.outcome, decision.rule, decision.ceiling_version) == ("deny", "ceiling/no-notes", 1)


async def test_a_ceiling_that_allows_is_refused(premises: Premises) -> None:
    with pytest.raises(PolicySyntaxError, match="line 2: 'notes' allows, but a ceiling only limits"):
        await premises.installation.policies.put(INSTALLATION, NOTES, actor=SYSTEM)


async def test_a_policy_whose_own_tests_fail_is_not_put_in_force(premises: Premises) -> None:
    broken = NOTES.replace("outcome: allow, rule", "outcome: deny, rule")
    with pytest.raises(PolicyTestsFailedError, match=r"1 of 1 .* fail(?s:.*)outcome:(?s:.*)- deny(?s:.*)\+ allow"):
        await premises.installation.policies.put(premises.acme.id, broken, actor=SYSTEM)
    with pytest.raises(NotFoundError):
        await premises.installation.policies.get(premises.acme.id)


async def test_the_same_text_again_is_no_new_version(premises: Premises) -> None:
    first = await premises.installation.policies.put(premises.acme.id, NOTES, actor=SYSTEM)
    again = await premises.installation.policies.put(premises.acme.id, NOTES, actor=SYSTEM)
    assert (first.version, again.version) == (1, 1)


async def test_a_writer_who_saw_an_older_version_is_told(premises: Premises) -> None:
    policies, acme = premises.installation.policies, premises.acme.id
    await policies.put(acme, NOTES, actor=SYSTEM, based_on=0)
    with pytest.raises(ConflictError, match="version 1 is in force by now, not 0"):
        await policies.put(acme, NO_NOTES, actor=SYSTEM, based_on=0)
    assert (await policies.put(acme, NO_NOTES, actor=SYSTEM, based_on=1)).version == 2


async def test_history_and_differences_show_what_was_in_force(premises: Premises) -> None:
    policies, acme = premises.installation.policies, premises.acme.id
    for text, note in ((NOTES, "begin"), (NO_NOTES, "enough"), (NOTES, "again")):
        await policies.put(acme, text, actor=SYSTEM, note=note)
    first = await policies.history(acme, limit=2)
    rest = await policies.history(acme, limit=2, cursor=first.next_cursor)
    assert [(one.version, one.note) for one in [*first.items, *rest.items]] == [
        (3, "again"), (2, "enough"), (1, "begin"),
    ]  # fmt: skip
    assert rest.next_cursor is None
    difference = await policies.difference(acme, 1, 2)
    assert "-    then: allow" in difference
    assert "+  - {name: no-notes" in difference


async def test_putting_a_policy_is_audited_and_told(premises: Premises) -> None:
    await premises.installation.policies.put(premises.acme.id, NOTES, actor=SYSTEM, note="begin")
    entries = await premises.installation.audit.list(premises.acme.id, EntryFilter(action="policy.changed"))
    (entry,) = entries.items
    assert (entry.target, entry.reason, entry.before) == ("policy:1", "begin", None)
    assert entry.after is not None
    assert entry.after["version"] == 1
    told = await premises.installation.event_reader.list(premises.acme.id, type_name="policy.changed")
    assert [event.payload["version"] for event in told.items] == [1]


async def test_versions_and_decisions_are_never_changed(premises: Premises, database_url: str) -> None:
    await premises.installation.policies.put(premises.acme.id, NOTES, actor=SYSTEM)
    decision = await _decided(premises, premises.acme.id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("select set_config('app.organization', %s, false)", (premises.acme.id,))
        for statement in (
            "update policies set source = 'rules: []'",
            "delete from policies",
            f"update decisions set outcome = 'deny' where id = '{decision.id}'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)  # type: ignore[arg-type]


async def test_a_rule_of_the_ceiling_may_name_organizations(premises: Premises) -> None:
    ceiling = "rules:\n  - {name: not-acme, when: {organization: acme}, then: deny}\n"
    await premises.installation.policies.put(INSTALLATION, ceiling, actor=SYSTEM)
    assert (await _decided(premises, premises.acme.id)).rule == "ceiling/not-acme"
    assert (await _decided(premises, premises.rival.id)).voice == "level"


async def test_the_consent_of_the_person_concerned_is_looked_up(premises: Premises) -> None:
    acme, privacy = premises.installation.policies, premises.installation.privacy
    await acme.put(premises.acme.id, NOTES, actor=SYSTEM)
    person = await privacy.subjects.register(premises.acme.id, [Identifier("email", "anna@example.org")], actor=SYSTEM)
    concerned = {"subject": "email:anna@example.org", "purpose": "marketing"}
    assert (await _decided(premises, premises.acme.id, **concerned)).voice == "consent"
    evidence = Evidence("form")
    await privacy.consents.grant(premises.acme.id, person.id, "marketing", evidence=evidence, actor=SYSTEM)
    assert (await _decided(premises, premises.acme.id, **concerned)).outcome == "allow"
    await privacy.consents.withdraw(premises.acme.id, person.id, "marketing", evidence=evidence, actor=SYSTEM)
    denied = await _decided(premises, premises.acme.id, **concerned)
    assert (denied.outcome, denied.reason) == ("deny", "the person concerned does not consent to marketing")
    unknown = await _decided(premises, premises.acme.id, subject="email:anna@example.org", purpose="mischief")
    assert (unknown.outcome, unknown.voice) == ("deny", "consent")


async def test_of_two_who_put_at_once_none_is_overwritten_unseen(premises: Premises) -> None:
    policies, acme = premises.installation.policies, premises.acme.id
    texts = [NO_NOTES.replace("no-notes", f"no-notes-{number}") for number in range(4)]
    answers = await asyncio.gather(*(policies.put(acme, text, actor=SYSTEM) for text in texts), return_exceptions=True)
    made = [one.version for one in answers if isinstance(one, PolicyRecord)]
    assert made
    assert len(set(made)) == len(made)
    assert all(isinstance(one, PolicyRecord | ConflictError) for one in answers)
    assert len((await policies.history(acme)).items) == len(made)


async def test_a_rule_that_asks_for_what_is_not_known_restricts_and_never_permits(premises: Premises) -> None:
    policies, acme = premises.installation.policies, premises.acme.id
    await policies.put(
        acme,
        "rules:\n"
        "  - {name: safe, when: {risk: low}, then: allow}\n"
        "  - {name: risky, when: {risk: {at_least: 7}, tool: note.write}, then: deny}\n",
        actor=SYSTEM,
    )
    blind = await _decided(premises, acme)
    assert (blind.outcome, blind.rule) == ("deny", "risky")
    assert "cannot determine: risk missing" in blind.reason
    assert blind.undetermined == ("safe: cannot determine: risk missing",)
    seen = await _decided(premises, acme, risk=1.0)
    assert (seen.outcome, seen.rule) == ("allow", "safe")
