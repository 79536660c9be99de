"""Remembered rules: narrow, listed, revocable, and never for what cannot be undone."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.authority import Proposal
from bailiwick.authority.approvals import ApprovalRecord
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.authority.approvals.remembering import NewRule, RememberedRule
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import new_id
from tests.integration.authority.approvals.conftest import Room, answerer, as_superuser


def proposal(room: Room, approval: ApprovalRecord, **more: Any) -> Proposal:
    """The same thing again."""
    made = Proposal(
        room.organization_id, new_id(), approval.tool, approval.effect_class, approval.arguments, approval.target,
        room.clock.now(), agent_id=approval.agent_id, price=approval.price, is_reversible=True,
    )  # fmt: skip
    return replace(made, **more)


async def allowed(room: Room, wanted: Proposal) -> str | None:
    async with room.database.transaction(room.organization_id) as connection:
        found = await room.approvals.remembered(wanted, connection)
        return None if found is None else found.name


async def yes(room: Room, person: str, **more: Any) -> ApprovalRecord:
    approval = await room.ask(agent_id=more.pop("agent_id", new_id()), **more)
    await room.say(approval, "approve", person)
    return await room.approvals.get(room.organization_id, approval.id)


async def remember(room: Room, approval: ApprovalRecord, person: str | None, **more: Any) -> RememberedRule:
    return await room.approvals.remember(room.organization_id, approval.id, NewRule(**more), answerer(person))


async def test_a_rule_allows_the_same_again_and_nothing_more(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await yes(room, admin)
    assert await allowed(room, proposal(room, approval)) is None
    rule = await remember(room, approval, admin, name="greetings", max_price=Decimal(1))
    assert await allowed(room, proposal(room, approval)) == "greetings"
    assert await allowed(room, proposal(room, approval, price=Decimal(1), arguments={"text": "bye"})) == "greetings"
    for more in (
        {"price": Decimal("1.01")}, {"target": "issue:8"}, {"tool": "delete"}, {"agent_id": new_id()},
        {"is_reversible": False}, {"effect_class": "destructive"}, {"free_text": ("text",)}, {"agent_id": None},
    ):  # fmt: skip
        assert await allowed(room, proposal(room, approval, **more)) is None, more
    await room.approvals.rules.revoke(room.organization_id, rule.name, actor=SYSTEM)
    assert await allowed(room, proposal(room, approval)) is None
    with pytest.raises(NotFoundError):
        await room.approvals.rules.revoke(room.organization_id, rule.id, actor=SYSTEM)
    [listed] = (await room.approvals.rules.list(room.organization_id)).items
    assert listed.revoked_at is not None


async def test_a_rule_ends_and_keeps_its_bounds(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await yes(room, admin)
    ends_at = room.clock.now() + timedelta(hours=1)
    await remember(
        room, approval, admin, name="short", bounds={"text": {"max_length": 5}}, ends_at=ends_at, any_agent=True
    )
    assert await allowed(room, proposal(room, approval, agent_id=new_id())) == "short"
    assert await allowed(room, proposal(room, approval, arguments={"text": "longer"})) is None
    assert await allowed(room, proposal(room, approval, arguments={})) is None
    room.clock.advance(seconds=3600)
    assert await allowed(room, proposal(room, approval)) is None


async def test_a_rule_rests_while_its_maker_lacks_the_role(room: Room, login_url: str) -> None:
    admin = await room.person("admin", "admin")
    approval = await yes(room, admin)
    rule = await remember(room, approval, admin)
    as_superuser(login_url, "update memberships set role = 'operator' where user_id = %s", admin)
    assert await allowed(room, proposal(room, approval)) is None
    as_superuser(login_url, "update memberships set role = 'admin' where user_id = %s", admin)
    assert await allowed(room, proposal(room, approval)) == rule.name


@pytest.mark.parametrize(
    "fields", [{"is_reversible": False}, {"effect_class": "destructive"}, {"free_text": ("text",)}]
)  # fmt: skip
async def test_what_cannot_be_undone_or_comes_from_outside_is_asked_about_every_time(
    room: Room, fields: dict[str, Any]
) -> None:
    admin = await room.person("admin", "admin")
    approval = await yes(room, admin, **fields)
    with pytest.raises(ConflictError, match="every time"):
        await remember(room, approval, admin)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await room.database.execute(
            "insert into approval_rules (id, organization_id, name, approval_id, tool, target, max_price, roles, "
            "made_by, made_by_name) select %s, organization_id, 'r', id, tool, target, price, roles, %s, 'x' "
            "from approvals",
            (new_id(), f"user:{admin}"),
            organization_id=room.organization_id,
        )


async def test_one_persons_rule_does_not_stand_for_a_quorum(room: Room) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    approval = await room.ask(quorum=2)
    await room.say(approval, "approve", one)
    await room.say(approval, "approve", two)
    with pytest.raises(ConflictError, match="several people"):
        await remember(room, approval, one)


async def test_only_who_said_yes_makes_a_rule_of_it(room: Room) -> None:
    admin, other = await room.person("admin", "admin"), await room.person("other", "admin")
    waiting = await room.ask()
    with pytest.raises(ConflictError, match="approved"):
        await remember(room, waiting, admin)
    approval = await yes(room, admin)
    for person in (other, None):
        with pytest.raises(NoApproverError):
            await remember(room, approval, person)


async def test_a_rule_fits_what_was_approved_and_has_a_name_of_its_own(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await yes(room, admin)
    for bad in (
        {"bounds": {"text": {}}}, {"bounds": {"text": {"like": 1}}}, {"bounds": {"words": {"max": 1}}},
        {"bounds": {"text": {"max_length": 2}}}, {"bounds": {"text": {"max_length": "x"}}},
        {"ends_at": room.clock.now()}, {"max_price": Decimal(-1)}, {"name": ""},
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            await remember(room, approval, admin, **bad)
    await remember(room, approval, admin, name="one")
    with pytest.raises(ConflictError, match="another name"):
        await remember(room, approval, admin, name="one")


async def test_a_rule_of_silence_is_none(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask(on_expiry="allow", expires_hours=1.0)
    room.clock.advance(seconds=3600)
    await room.approvals.sweep(room.organization_id)
    with pytest.raises(ConflictError, match="people have approved"):
        await remember(room, approval, admin)
