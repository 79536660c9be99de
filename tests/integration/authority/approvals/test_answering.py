"""An approval is answered once and for all, by people who may, about exactly what they saw."""

import pytest

from bailiwick.authority.approvals.errors import ApprovalChangedError, ApprovalOverError, NoApproverError
from tests.integration.authority.approvals.conftest import Room


async def test_a_yes_approves_tells_and_is_audited(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask()
    answered = await room.say(approval, "approve", admin, reason="fine")
    assert (answered.state, answered.missing) == ("approved", 0)
    assert await room.events(approval) == [("approval.requested", "waiting"), ("approval.answered", "approved")]
    assert await room.audited(approval) == ["approval.requested", "approval.answered"]


async def test_an_answer_to_another_digest_is_refused(room: Room) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask()
    with pytest.raises(ApprovalChangedError, match="look again") as refused:
        await room.say(approval, "approve", admin, digest="0" * 64)
    assert refused.value.http_status == 409
    assert await room.state(approval) == "waiting"


async def test_who_has_not_the_role_is_refused(room: Room) -> None:
    operator = await room.person("operator", "operator")
    stranger = await room.person("stranger", None)
    approval = await room.ask()
    for person in (operator, stranger):
        with pytest.raises(NoApproverError, match="roles"):
            await room.say(approval, "approve", person)


async def test_what_is_settled_is_not_answered_again(room: Room) -> None:
    admin, other = await room.person("admin", "admin"), await room.person("other", "admin")
    approval = await room.ask()
    await room.say(approval, "approve", admin)
    with pytest.raises(ApprovalOverError):
        await room.say(approval, "reject", other)
    assert await room.state(approval) == "approved"
