"""A link opens one approval for one person, once, and answers nothing."""

import asyncio

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.identity.people.one_time_links import LinkRefusedError
from bailiwick.kernel.errors import ConflictError
from tests.integration.authority.approvals.conftest import Room


async def test_a_link_is_good_once_and_for_its_person(room: Room) -> None:
    admin, other = await room.person("admin", "admin"), await room.person("other", "admin")
    approval = await room.ask()
    links = room.approvals.links
    link = await links.make(room.organization_id, approval.id, admin, actor=SYSTEM)
    with pytest.raises(LinkRefusedError):
        await links.redeem(link.token, other, actor=SYSTEM)
    found = await links.redeem(link.token, admin, actor=SYSTEM)
    assert (found.organization_id, found.approval_id) == (room.organization_id, approval.id)
    assert await room.state(approval) == "waiting"
    for token in (link.token, "x", "", "\ud800"):
        with pytest.raises(LinkRefusedError):
            await links.redeem(token, admin, actor=SYSTEM)
    assert (await room.audited(approval))[1:] == ["approval.link_made", "approval.link_opened"]


async def test_of_two_at_once_one_opens_it(room: Room) -> None:
    admin = await room.person("admin", "admin")
    link = await room.approvals.links.make(room.organization_id, (await room.ask()).id, admin, actor=SYSTEM)
    answers = await asyncio.gather(
        *(room.approvals.links.redeem(link.token, admin, actor=SYSTEM) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in answers) == ["LinkRefusedError"] * 3 + ["Redeemed"]


async def test_a_link_lasts_a_day_and_no_longer_than_its_approval(room: Room) -> None:
    admin = await room.person("admin", "admin")
    long, short = await room.ask(expires_hours=100.0), await room.ask(expires_hours=1.0)
    links = room.approvals.links
    of_long = await links.make(room.organization_id, long.id, admin, actor=SYSTEM)
    of_short = await links.make(room.organization_id, short.id, admin, actor=SYSTEM)
    assert of_short.expires_at == short.expires_at
    room.clock.advance(seconds=3600)
    with pytest.raises(LinkRefusedError):
        await links.redeem(of_short.token, admin, actor=SYSTEM)
    with pytest.raises(ConflictError):
        await links.make(room.organization_id, short.id, admin, actor=SYSTEM)
    room.clock.advance(seconds=23 * 3600)
    with pytest.raises(LinkRefusedError):
        await links.redeem(of_long.token, admin, actor=SYSTEM)


async def test_a_link_is_made_only_for_who_may_answer(room: Room) -> None:
    viewer = await room.person("viewer", "viewer")
    with pytest.raises(NoApproverError):
        await room.approvals.links.make(room.organization_id, (await room.ask()).id, viewer, actor=SYSTEM)
