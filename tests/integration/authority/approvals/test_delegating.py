"""A delegate's answer is the delegator's, within limits, and nobody counts twice by it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.authority.approvals.delegating import Delegation, NewDelegation
from bailiwick.authority.approvals.errors import ApprovalOverError, NoApproverError
from bailiwick.kernel.errors import ForbiddenError, InvalidInputError, NotFoundError
from tests.integration.authority.approvals.conftest import Room

WEEK = timedelta(days=7)


async def delegate(room: Room, giver: str, taker: str, **more: Any) -> Delegation:
    more.setdefault("ends_at", room.clock.now() + WEEK)
    return await room.approvals.delegations.make(
        room.organization_id, NewDelegation(giver, taker, **more), actor=SYSTEM
    )


async def test_a_delegates_answer_counts_as_the_delegators(room: Room) -> None:
    boss, helper = await room.person("boss", "admin"), await room.person("helper", "operator")
    await delegate(room, boss, helper)
    approval = await room.ask()
    with pytest.raises(NoApproverError, match="roles"):
        await room.say(approval, "approve", helper)
    assert (await room.say(approval, "approve", helper, on_behalf_of=boss)).state == "approved"
    [answer] = await room.approvals.answers(room.organization_id, approval.id)
    assert (answer.voice, answer.answered_by) == (f"user:{boss}", f"user:{helper}")
    assert answer.delegation_id is not None


async def test_nobody_counts_twice_by_delegating(room: Room) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    await delegate(room, one, two)
    approval = await room.ask(quorum=2)
    await room.say(approval, "approve", two)
    with pytest.raises(ApprovalOverError, match="twice"):
        await room.say(approval, "approve", two, on_behalf_of=one)
    other = await room.ask(quorum=2)
    await room.say(other, "approve", two, on_behalf_of=one)
    with pytest.raises(ApprovalOverError, match="twice"):
        await room.say(other, "approve", one)
    with pytest.raises(ApprovalOverError, match="twice"):
        await room.say(other, "approve", two)
    assert await room.state(other) == "waiting"


async def test_what_was_delegated_is_not_delegated_on(room: Room) -> None:
    boss, helper, third = [await room.person(name, role) for name, role in _TRIO]
    await delegate(room, boss, helper)
    await delegate(room, helper, third)
    approval = await room.ask()
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(approval, "approve", third, on_behalf_of=boss)
    with pytest.raises(NoApproverError):
        await room.say(approval, "approve", third, on_behalf_of=helper)


_TRIO: list[tuple[str, Any]] = [("boss", "admin"), ("helper", "operator"), ("third", "operator")]


async def test_who_asked_for_the_work_is_neither_spoken_for_nor_speaks(room: Room) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    await delegate(room, boss, helper)
    for asker in (boss, helper):
        approval = await room.ask(labels=frozenset({f"by:user:{asker}"}))
        with pytest.raises(NoApproverError, match="asked for the work"):
            await room.say(approval, "approve", helper, on_behalf_of=boss)


@pytest.mark.parametrize(
    "limits", [{"tools": ("other",)}, {"max_price": Decimal("0.49")}, {"starts_at": timedelta(days=1)}]
)  # fmt: skip
async def test_a_delegation_holds_within_its_limits(room: Room, limits: dict[str, Any]) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    if "starts_at" in limits:
        limits = {"starts_at": room.clock.now() + limits["starts_at"]}
    await delegate(room, boss, helper, **limits)
    approval = await room.ask()
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(approval, "approve", helper, on_behalf_of=boss)


async def test_a_delegation_ends_by_time_and_by_word(room: Room) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    made = await delegate(room, boss, helper)
    first = await room.ask(expires_hours=1000.0)
    room.clock.advance(seconds=WEEK.total_seconds())
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(first, "approve", helper, on_behalf_of=boss)
    again = await delegate(room, boss, helper)
    with pytest.raises(ForbiddenError):
        await room.approvals.delegations.revoke(room.organization_id, again.id, actor=SYSTEM, only_from=helper)
    await room.approvals.delegations.revoke(room.organization_id, again.id, actor=SYSTEM, only_from=boss)
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(first, "approve", helper, on_behalf_of=boss)
    with pytest.raises(NotFoundError):
        await room.approvals.delegations.revoke(room.organization_id, again.id, actor=SYSTEM)
    assert [one.id for one in (await room.approvals.delegations.list(room.organization_id)).items] == [
        again.id, made.id,
    ]  # fmt: skip


async def test_one_approval_can_be_delegated(room: Room) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    this, other = await room.ask(), await room.ask()
    await delegate(room, boss, helper, approval_id=this.id, ends_at=None)
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(other, "approve", helper, on_behalf_of=boss)
    assert (await room.say(this, "approve", helper, on_behalf_of=boss)).state == "approved"


async def test_a_delegate_edits_only_where_that_was_given(room: Room) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    approval = await room.ask()
    await delegate(room, boss, helper)
    with pytest.raises(NoApproverError, match="not delegated"):
        await room.say(approval, "edit", helper, on_behalf_of=boss, arguments={"text": "bye"})
    await delegate(room, boss, helper, may_edit=True)
    answered = await room.say(approval, "edit", helper, on_behalf_of=boss, arguments={"text": "bye"})
    assert answered.state == "edited"


async def test_a_delegation_has_an_end_and_two_people_who_may_answer(room: Room) -> None:
    boss, helper, _ = [await room.person(name, role) for name, role in _TRIO]
    viewer = await room.person("viewer", "viewer")
    now = room.clock.now()
    for bad in (
        {"ends_at": None}, {"ends_at": now}, {"ends_at": now + timedelta(days=93)},
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            await delegate(room, boss, helper, **bad)
    with pytest.raises(InvalidInputError):
        await delegate(room, boss, boss)
    with pytest.raises(NoApproverError):
        await delegate(room, boss, viewer)
    with pytest.raises(NotFoundError):
        await delegate(room, boss, await room.person("stranger", None))
