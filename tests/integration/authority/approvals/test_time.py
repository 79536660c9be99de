"""What time does to an approval: reminders, escalation, and the default that was stated."""

import psycopg
import pytest

from bailiwick.authority.approvals.errors import ApprovalOverError, NoApproverError
from tests.integration.authority.approvals.conftest import Room, as_superuser

HOUR = 3600


async def swept(room: Room, *, hours: float) -> dict[str, int]:
    room.clock.advance(seconds=hours * HOUR)
    return await room.approvals.sweep(room.organization_id)


async def test_silence_denies_unless_the_policy_says_otherwise(room: Room) -> None:
    approval = await room.ask(expires_hours=2.0)
    assert await swept(room, hours=1.99) == {"expired": 0, "escalated": 0, "reminded": 1}
    assert await swept(room, hours=0.02) == {"expired": 1, "escalated": 0, "reminded": 0}
    assert await room.state(approval) == "expired"
    assert (await room.events(approval))[-2:] == [("approval.expired", "expired"), ("approval.answered", "expired")]
    assert (await room.audited(approval))[-1] == "approval.expired"
    assert await swept(room, hours=5) == {"expired": 0, "escalated": 0, "reminded": 0}


async def test_silence_allows_what_the_policy_says_and_is_told_as_such(room: Room) -> None:
    approval = await room.ask(expires_hours=2.0, on_expiry="allow")
    await swept(room, hours=3)
    found = await room.approvals.get(room.organization_id, approval.id)
    assert (found.state, found.is_by_silence) == ("approved", True)
    assert (await room.events(approval))[-1] == ("approval.answered", "approved")


@pytest.mark.parametrize(
    "fields", [{"is_reversible": False}, {"effect_class": "destructive"}, {"free_text": ("text",)}]
)  # fmt: skip
async def test_silence_never_allows_what_cannot_be_taken_back(
    room: Room, login_url: str, fields: dict[str, object]
) -> None:
    approval = await room.ask(on_expiry="allow", expires_hours=1.0, **fields)
    assert approval.on_expiry == "deny"
    with pytest.raises(psycopg.errors.CheckViolation):
        as_superuser(login_url, "update approvals set on_expiry = 'allow' where id = %s", approval.id)
    await swept(room, hours=2)
    assert await room.state(approval) == "expired"


async def test_an_answer_after_the_end_is_refused_before_anybody_has_swept(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask(expires_hours=1.0)
    room.clock.advance(seconds=HOUR)
    with pytest.raises(ApprovalOverError, match="time"):
        await room.say(approval, "approve", admin)


async def test_expire_leaves_what_still_has_time(room: Room) -> None:
    approval = await room.ask(expires_hours=1.0)
    assert await room.approvals.expire(room.organization_id, approval.id) == "waiting"
    room.clock.advance(seconds=HOUR)
    assert await room.approvals.expire(room.organization_id, approval.id) == "expired"
    assert await room.approvals.expire(room.organization_id, approval.id) == "expired"


async def test_escalation_lets_another_role_answer_too(room: Room) -> None:
    operator = await room.person("operator", "operator")
    approval = await room.ask(roles=("owner",), escalate_to="operator", escalate_hours=1.0, expires_hours=4.0)
    room.clock.advance(seconds=HOUR - 1)
    with pytest.raises(NoApproverError):
        await room.say(approval, "approve", operator)
    assert (await swept(room, hours=1 / HOUR))["escalated"] == 1
    assert (await room.events(approval))[-1] == ("approval.escalated", "waiting")
    assert operator in {one.user_id for one in await room.approvals.electorate(room.organization_id, approval.id)}
    assert (await room.say(approval, "approve", operator)).state == "approved"


async def test_people_are_reminded_once(room: Room) -> None:
    approval = await room.ask(expires_hours=4.0)
    assert (await swept(room, hours=2.9))["reminded"] == 0
    assert (await swept(room, hours=0.2))["reminded"] == 1
    assert (await swept(room, hours=0.2))["reminded"] == 0
    assert [kind for kind, _ in await room.events(approval)] == ["approval.requested", "approval.reminded"]
