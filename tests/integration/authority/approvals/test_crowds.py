"""Answers at the same moment count one after another: no quorum is passed wrongly, and the run hears once."""

import asyncio

import pytest

from bailiwick.kernel.errors import BailiwickError
from tests.integration.authority.approvals.conftest import Room


@pytest.mark.parametrize("quorum", [1, 3, 5])
async def test_a_crowd_reaches_the_quorum_exactly_once(room: Room, quorum: int) -> None:
    people = [await room.person(f"admin{number}", "admin") for number in range(6)]
    approval = await room.ask(quorum=quorum)
    answers = await asyncio.gather(
        *(room.say(approval, "approve", person) for person in people), return_exceptions=True
    )
    taken = [one for one in answers if not isinstance(one, BaseException)]
    assert all(isinstance(one, BailiwickError) for one in answers if isinstance(one, BaseException))
    assert sorted(one.approvals for one in taken) == list(range(1, quorum + 1))
    assert [one.state for one in taken].count("approved") == 1
    assert (await room.events(approval)).count(("approval.answered", "approved")) == 1
    assert len(await room.approvals.answers(room.organization_id, approval.id)) == quorum


async def test_of_a_yes_and_a_no_at_the_same_moment_one_decides(room: Room) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    for _ in range(5):
        approval = await room.ask(roles=("admin",), quorum=3)
        await room.say(approval, "approve", one)
        owner = (await room.memberships.list(room.organization_id)).items[-1].user_id
        await asyncio.gather(
            room.say(approval, "approve", two), room.say(approval, "reject", owner), return_exceptions=True
        )
        told = [state for kind, state in await room.events(approval) if kind == "approval.answered"]
        assert told == ["rejected"] == [await room.state(approval)]


async def test_one_person_asking_many_times_at_once_is_heard_once(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask(quorum=2)
    answers = await asyncio.gather(*(room.say(approval, "approve", admin) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in answers) == 1
    assert await room.state(approval) == "waiting"


async def test_an_answer_and_the_end_of_time_do_not_both_settle_it(room: Room) -> None:
    admin = await room.person("admin", "admin")
    for _ in range(5):
        approval = await room.ask(expires_hours=1.0)
        room.clock.advance(seconds=3600)
        await asyncio.gather(
            room.approvals.expire(room.organization_id, approval.id),
            room.say(approval, "approve", admin),
            room.approvals.sweep(room.organization_id),
            return_exceptions=True,
        )
        assert (await room.events(approval))[1:] == [("approval.expired", "expired"), ("approval.answered", "expired")]
