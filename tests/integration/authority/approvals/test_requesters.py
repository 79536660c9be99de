"""Nobody both asks and says yes: through a program of theirs, by bringing work back, or ahead of time."""

from datetime import timedelta

import pytest

from bailiwick.audit import SYSTEM, AuditLog
from bailiwick.authority import Proposal
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.authority.approvals.remembering import NewRule
from bailiwick.identity import MACHINE, Caller
from bailiwick.identity.people.permissions import GRANTS
from bailiwick.identity.tokens.keys import Keys
from bailiwick.identity.tokens.service_accounts import ServiceAccounts
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.labels import by
from tests.integration.authority.approvals.conftest import Room, answerer, as_superuser


class Workshop:
    """Where people make keys and service accounts in a room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        audit = AuditLog(room.database)
        self.keys = Keys(room.database, audit)
        self.accounts = ServiceAccounts(room.database, audit)

    def caller(self, user_id: str) -> Caller:
        return Caller("user", user_id, "somebody", grants={self.room.organization_id: GRANTS["owner"]})

    async def program(self, account: str, key_name: str, maker: Caller) -> Caller:
        """The service account as it calls with a key that ``maker`` issued."""
        issued = await self.keys.make(
            key_name, organization_id=self.room.organization_id, service_account=account, maker=maker
        )
        return await self.keys.authenticate(issued.key)


@pytest.fixture
def workshop(room: Room) -> Workshop:
    return Workshop(room)


async def test_who_made_a_service_account_or_its_key_asks_for_what_it_asks_for(room: Room, workshop: Workshop) -> None:
    ada, bob, eve = [await room.person(name, "admin") for name in ("ada", "bob", "eve")]
    await workshop.accounts.create(room.organization_id, "bridge", "operator", maker=workshop.caller(ada))
    program = await workshop.program("bridge", "k", workshop.caller(bob))
    assert program.labels == {by("service", program.id), by("maker", f"user:{ada}"), by("maker", f"user:{bob}")}
    approval = await room.ask(labels=program.labels)
    for asker in (ada, bob):
        with pytest.raises(NoApproverError, match="asked for the work"):
            await room.say(approval, "approve", asker)
    assert (await room.say(approval, "approve", eve)).state == "approved"


async def test_makers_are_found_where_only_the_program_is_named(room: Room, workshop: Workshop) -> None:
    ada, bob = [await room.person(name, "admin") for name in ("ada", "bob")]
    await workshop.accounts.create(room.organization_id, "bridge", "operator", maker=workshop.caller(ada))
    program = await workshop.program("bridge", "k", workshop.caller(bob))
    approval = await room.ask(labels=frozenset({by("service", program.id)}))
    voters = {one.user_id for one in await room.approvals.electorate(room.organization_id, approval.id)}
    assert not voters & {ada, bob}
    approval = await room.ask(labels=frozenset({by("key", str(program.key_id))}))
    with pytest.raises(NoApproverError, match="asked for the work"):
        await room.say(approval, "approve", bob)


async def test_all_makers_of_a_chain_count_and_outlive_what_they_made(room: Room, workshop: Workshop) -> None:
    ada, bob = [await room.person(name, "admin") for name in ("ada", "bob")]
    await workshop.accounts.create(room.organization_id, "first", "owner", maker=workshop.caller(ada))
    first = await workshop.program("first", "k1", workshop.caller(bob))
    # A program makes another program, and with it a third; the first is gone then.
    await workshop.accounts.create(room.organization_id, "second", "owner", maker=first)
    second = await workshop.program("second", "k2", first)
    await workshop.accounts.create(room.organization_id, "third", "owner", maker=second)
    third = await workshop.program("third", "k3", second)
    for name in ("first", "second", "third"):
        await workshop.accounts.remove(room.organization_id, name)
    approval = await room.ask(labels=third.labels)
    for asker in (ada, bob):
        with pytest.raises(NoApproverError, match="asked for the work"):
            await room.say(approval, "approve", asker)


async def test_what_a_key_made_at_the_machine_asks_for_is_not_approved_there(room: Room, workshop: Workshop) -> None:
    issued = await workshop.keys.make("k", organization_id=room.organization_id, maker=MACHINE)
    program = await workshop.keys.authenticate(issued.key)
    for labels in (program.labels, frozenset({by("key", str(program.key_id))})):
        approval = await room.ask(labels=labels)
        with pytest.raises(NoApproverError, match="asked for the work"):
            await room.say(approval, "approve", None)


async def test_ones_own_key_names_its_holder_once(room: Room, workshop: Workshop) -> None:
    ada = await room.person("ada", "admin")
    issued = await workshop.keys.make("k", organization_id=room.organization_id, maker=workshop.caller(ada))
    assert (await workshop.keys.authenticate(issued.key)).labels == {by("key", issued.record.id), by("user", ada)}


async def test_who_brings_the_task_to_run_again_after_it_asked_does_not_approve(room: Room, login_url: str) -> None:
    ada, bob = [await room.person(name, "admin") for name in ("ada", "bob")]
    approval = await room.ask()
    as_superuser(
        login_url,
        "insert into tasks (id, organization_id, kind, payload, state, priority, labels) "
        "values (%s, %s, 'k', '{}', 'available', 2, %s)",
        approval.task_id, room.organization_id, [by("user", ada)],
    )  # fmt: skip
    with pytest.raises(NoApproverError, match="asked for the work"):
        await room.say(approval, "approve", ada)
    assert (await room.say(approval, "approve", bob)).state == "approved"


async def test_a_remembered_yes_does_not_answer_what_its_maker_asks_for(room: Room) -> None:
    ada, bob = [await room.person(name, "admin") for name in ("ada", "bob")]
    approval = await room.ask()
    await room.say(approval, "approve", ada)
    await room.approvals.remember(room.organization_id, approval.id, NewRule("comments"), answerer(ada))
    for labels, is_remembered in (
        ({by("user", bob)}, True),
        (set[str](), True),
        ({by("user", ada)}, False),
        ({by("service", new_id()), by("maker", f"user:{ada}")}, False),
    ):
        proposal = Proposal(
            organization_id=room.organization_id, task_id=new_id(), tool="comment", effect_class="write",
            arguments={"text": "hello"}, target="issue:7", at=room.clock.now() + timedelta(seconds=1),
            is_reversible=True, price=approval.price, labels=frozenset(labels), agent_id=approval.agent_id,
        )  # fmt: skip
        async with room.database.transaction(room.organization_id) as connection:
            found = await room.approvals.remembered(proposal, connection)
        assert (found is not None) == is_remembered, labels


async def test_the_platform_has_made_nothing_for_anybody(room: Room) -> None:
    assert SYSTEM.labels == MACHINE.labels == frozenset()
    assert SYSTEM.person is None
    assert (await room.ask(labels=SYSTEM.labels)).labels == []
