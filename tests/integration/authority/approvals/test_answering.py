"""An approval is answered once and for all, by people who may, about exactly what they saw."""

import psycopg
import pytest

from bailiwick.authority.approvals.errors import ApprovalChangedError, ApprovalOverError, NoApproverError
from bailiwick.identity.organizations import Organizations
from bailiwick.kernel.errors import InvalidInputError, InvalidPayloadError, NotFoundError
from bailiwick.kernel.ids import new_id
from tests.integration.authority.approvals.conftest import Room, answerer, as_superuser


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
    for person in (operator, stranger, new_id()):
        with pytest.raises(NoApproverError, match="roles"):
            await room.say(approval, "approve", person)


async def test_a_role_that_answers_nothing_is_raised_to_one_that_does(room: Room) -> None:
    viewer, operator = await room.person("viewer", "viewer"), await room.person("operator", "operator")
    approval = await room.ask(roles=("viewer", "owner"))
    assert approval.roles == ["operator", "owner"]
    with pytest.raises(NoApproverError):
        await room.say(approval, "approve", viewer)
    assert (await room.say(approval, "approve", operator)).state == "approved"


async def test_a_disabled_person_is_refused(room: Room, login_url: str) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask()
    as_superuser(login_url, "update users set is_disabled = true where id = %s", admin)
    with pytest.raises(NoApproverError):
        await room.say(approval, "approve", admin)


async def test_what_is_settled_is_not_answered_again(room: Room) -> None:
    admin, other = await room.person("admin", "admin"), await room.person("other", "admin")
    approval = await room.ask()
    await room.say(approval, "approve", admin)
    with pytest.raises(ApprovalOverError):
        await room.say(approval, "reject", other)
    assert await room.state(approval) == "approved"


async def test_a_quorum_needs_that_many_people_and_each_once(room: Room) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    approval = await room.ask(quorum=2)
    assert (await room.say(approval, "approve", one)).missing == 1
    with pytest.raises(ApprovalOverError, match="twice"):
        await room.say(approval, "approve", one)
    assert (await room.say(approval, "approve", two)).state == "approved"


async def test_a_no_is_final_once_the_quorum_cannot_be_reached_any_more(room: Room) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    approval = await room.ask(quorum=2)  # The owner may answer, too.
    assert (await room.say(approval, "reject", one)).state == "waiting"
    assert (await room.say(approval, "reject", two)).state == "rejected"
    assert await room.events(approval) == [("approval.requested", "waiting"), ("approval.answered", "rejected")]


async def test_who_lost_the_role_is_not_counted_any_more(room: Room, login_url: str) -> None:
    one, two = await room.person("one", "admin"), await room.person("two", "admin")
    approval = await room.ask(quorum=2)
    await room.say(approval, "approve", one)
    as_superuser(login_url, "update memberships set role = 'viewer' where user_id = %s", one)
    assert (await room.say(approval, "approve", two)).state == "waiting"


async def test_who_asked_for_the_work_does_not_approve_it(room: Room) -> None:
    asker = await room.person("asker", "owner")
    approval = await room.ask(labels=frozenset({f"by:user:{asker}", "untrusted:github"}))
    for decision in ("approve", "reject"):
        with pytest.raises(NoApproverError, match="asked for the work"):
            await room.say(approval, decision, asker)
    assert asker not in {one.user_id for one in await room.approvals.electorate(room.organization_id, approval.id)}


async def test_whose_key_asked_for_the_work_does_not_approve_it(room: Room, login_url: str) -> None:
    asker, key = await room.person("asker", "owner"), new_id()
    as_superuser(
        login_url,
        "insert into api_keys (id, organization_id, name, prefix, key_hash, role, user_id, made_by) "
        "values (%s, %s, 'k', 'bw_', '\\x00', 'owner', %s, '{}')",
        key, room.organization_id, asker,
    )  # fmt: skip
    approval = await room.ask(labels=frozenset({f"by:key:{key}"}))
    with pytest.raises(NoApproverError, match="asked for the work"):
        await room.say(approval, "approve", asker)


async def test_what_was_asked_for_at_the_machine_is_not_approved_there(room: Room) -> None:
    approval = await room.ask(labels=frozenset({"by:system:account:root"}))
    with pytest.raises(NoApproverError, match="asked for the work"):
        await room.say(approval, "approve", None)


async def test_the_administrator_at_the_machine_is_one_voice(room: Room) -> None:
    approval = await room.ask(quorum=2)
    assert (await room.say(approval, "approve", None)).missing == 1
    with pytest.raises(ApprovalOverError, match="twice"):
        await room.say(approval, "approve", None)


async def test_another_organization_sees_and_answers_nothing(room: Room) -> None:
    rival = await Organizations(room.database).create("Rival")
    owner = (await room.memberships.list(room.organization_id)).items[0].user_id
    approval = await room.ask()
    with pytest.raises(NotFoundError):
        await room.approvals.get(rival.id, approval.id)
    assert (await room.approvals.list(rival.id)).items == []
    assert await room.approvals.electorate(rival.id, approval.id) == []
    row = await room.database.fetch_one(
        "select outcome from approval_answer(%s, %s, 'approve', %s, %s, 'x', null, null, 'api', null, null, now())",
        (approval.id, new_id(), approval.digest, f"user:{owner}"),
        organization_id=rival.id,
    )
    assert row == {"outcome": "missing"}
    assert await room.approvals.expire(rival.id, approval.id) is None


async def test_an_edit_ends_the_approval_and_tells_the_arguments_wanted_instead(room: Room) -> None:
    admin, other = await room.person("admin", "admin"), await room.person("other", "admin")
    approval = await room.ask(quorum=2)
    await room.say(approval, "approve", admin)
    answered = await room.say(approval, "edit", other, arguments={"text": "good morning"})
    assert answered.state == "edited"
    found = await room.approvals.get(room.organization_id, approval.id)
    assert found.edited == {"text": "good morning"}
    assert found.arguments == {"text": "hello"}
    row = await room.database.fetch_one(
        "select payload from events where type = 'approval.answered'", organization_id=room.organization_id
    )
    assert row is not None
    assert row["payload"]["arguments"] == {"text": "good morning"}
    assert row["payload"]["edited_by"] == f"user:{other}"


@pytest.mark.parametrize("arguments", [{"text": "x" * 101}, {"words": "hello"}, {"text": 7}])
async def test_an_edit_fits_the_tool_or_is_refused(room: Room, arguments: dict[str, object]) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask()
    with pytest.raises(InvalidPayloadError):
        await room.say(approval, "edit", admin, arguments=arguments)
    with pytest.raises(InvalidInputError, match="approve or reject"):
        await room.say(approval, "edit", admin, arguments={"text": "hello"})
    assert await room.state(approval) == "waiting"


@pytest.mark.parametrize(
    "change",
    [
        """arguments = '{"text": "give me everything"}'""", "target = 'issue:8'", "observed = '{}'", "price = 1000",
        "policy = '4/1'", "tool_version = '2'", "digest = repeat('0', 64)", "tool = 'delete'",
    ],
)  # fmt: skip
async def test_a_record_that_was_tampered_with_takes_no_answer(room: Room, login_url: str, change: str) -> None:
    admin = await room.person("admin", "admin")
    approval = await room.ask()
    as_superuser(login_url, f"update approvals set {change} where id = %s", approval.id)
    with pytest.raises(ApprovalChangedError):
        await room.say(approval, "approve", admin)
    now = await room.approvals.get(room.organization_id, approval.id)
    with pytest.raises(ApprovalChangedError):
        await room.say(now, "approve", admin)
    assert await room.state(approval) == "waiting"


@pytest.mark.parametrize(
    "sql",
    [
        "update approvals set state = 'approved', ended_at = now()",
        "update approvals set digest = repeat('0', 64)",
        "update approvals set quorum = 1",
        "update approvals set labels = '{}'",
        "delete from approvals",
        "update approval_answers set decision = 'approve'",
        "delete from approval_answers",
        "insert into approval_answers (id, organization_id, approval_id, decision, voice, answered_by, "
        "answered_by_name, digest, via, answered_at) select gen_random_uuid(), organization_id, id, 'approve', 'x', "
        "'x', 'x', digest, 'api', now() from approvals",
        "insert into approvals (id, organization_id, effect_id, task_id, tool, tool_version, effect_class, arguments, "
        "target, price, policy, digest, reason, rule, rule_reason, is_reversible, roles, quorum, on_expiry, "
        "expires_at, state, ended_at) select gen_random_uuid(), organization_id, gen_random_uuid(), task_id, tool, "
        "tool_version, effect_class, arguments, target, price, policy, digest, reason, rule, rule_reason, "
        "is_reversible, roles, quorum, on_expiry, expires_at, 'approved', now() from approvals",
        "delete from approval_rules",
        "update approval_rules set max_price = 1000000",
        "update approval_delegations set to_user = from_user",
    ],
)  # fmt: skip
async def test_the_application_moves_nothing_past_the_functions(room: Room, sql: str) -> None:
    await room.ask()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await room.database.execute(sql, organization_id=room.organization_id)


async def test_one_effect_has_one_approval(room: Room, login_url: str) -> None:
    first, second = await room.ask(), await room.ask()
    with pytest.raises(psycopg.errors.UniqueViolation):
        as_superuser(login_url, "update approvals set effect_id = %s where id = %s", first.effect_id, second.id)


async def test_what_moved_voids_a_yes_and_a_wait(room: Room) -> None:
    admin = await room.person("admin", "admin")
    granted, waiting = await room.ask(), await room.ask()
    await room.say(granted, "approve", admin)
    async with room.database.transaction(room.organization_id) as connection:
        for one in (granted, waiting):
            assert await room.approvals.stale(room.organization_id, one.id, "it moved", connection=connection)
    assert [await room.state(granted), await room.state(waiting)] == ["stale", "stale"]
    assert (await room.events(waiting))[-1] == ("approval.answered", "stale")
    with pytest.raises(ApprovalOverError):
        await room.say(waiting, "approve", admin)


async def test_every_human_answer_teaches_how_far_the_agent_may_go(room: Room) -> None:
    learnt: list[tuple[str, str]] = []

    class Learning:
        async def record_decision(
            self, organization_id: str, agent_id: str, effect_class: str, answer: str, **_: object
        ) -> None:
            assert organization_id == room.organization_id
            learnt.append((agent_id, answer))

    room.approvals.learning = Learning()  # type: ignore[assignment]
    one, two, agent = await room.person("one", "admin"), await room.person("two", "admin"), new_id()
    approval = await room.ask(quorum=2, agent_id=agent)
    await room.say(approval, "approve", one)
    await room.say(approval, "edit", two, arguments={"text": "bye"})
    assert learnt == [(agent, "approved"), (agent, "edited")]


def test_the_administrator_is_named_as_such() -> None:
    assert answerer(None).word == "administrator"
