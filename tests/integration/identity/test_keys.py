"""API keys and service accounts: never more than their maker, and cut when their owner is."""

from datetime import UTC, datetime, timedelta

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity import MACHINE, Caller
from bailiwick.identity.people.accounts import User
from bailiwick.identity.people.permissions import GRANTS, PERMISSIONS, ROLES, Role
from bailiwick.kernel.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthorizedError,
)
from bailiwick.storage import Database
from tests.support.identity import Identity


@pytest.fixture
def identity(database: Database, login_url: str) -> Identity:
    return Identity.of(database, login_url)


async def place(identity: Identity, slug: str = "acme") -> str:
    return (await identity.organizations.ensure(slug)).id


async def logged_in(identity: Identity, user: User) -> Caller:
    pair = await identity.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    return (await identity.sessions.authenticate_token(pair.access))[0]


async def test_a_key_opens_its_organization_and_shows_only_its_beginning(identity: Identity) -> None:
    acme = await place(identity)
    issued = await identity.keys.make("ci", organization_id=acme)
    assert issued.key.startswith(issued.record.prefix)
    assert len(issued.record.prefix) == 9
    caller = await identity.keys.authenticate(issued.key)
    assert (caller.kind, caller.id, caller.name, caller.key_id) == ("key", issued.record.id, "ci", issued.record.id)
    assert caller.grants == {acme: GRANTS["owner"]}
    assert issued.record.last_used_at is None
    assert (await identity.keys.get(acme, "ci")).last_used_at is not None
    assert identity.acts("key.created")[0]["target"] == f"key:{issued.record.id}"


async def test_last_use_is_written_once_a_minute(identity: Identity) -> None:
    acme = await place(identity)
    key = await identity.keys.issue("ci", organization_id=acme)
    for minutes, is_written in ((0, False), (2, True)):
        await identity.keys.authenticate(key)
        identity.as_superuser("update api_keys set last_used_at = last_used_at - make_interval(mins => %s)", minutes)
        before = (await identity.keys.get(acme, "ci")).last_used_at
        await identity.keys.authenticate(key)
        assert ((await identity.keys.get(acme, "ci")).last_used_at != before) == is_written


async def test_the_administrators_key_belongs_to_the_installation_and_opens_everything(identity: Identity) -> None:
    assert not await identity.keys.has_admin()
    caller = await identity.keys.authenticate(await identity.keys.issue("admin"))
    assert await identity.keys.has_admin()
    assert caller.is_unbounded_admin
    assert caller.may("tasks:write", await place(identity))
    scraper = await identity.keys.make("auditor", scopes=["audit:read"])
    bounded = await identity.keys.authenticate(scraper.key)
    assert bounded.is_admin
    assert not bounded.is_unbounded_admin
    assert [name for name in PERMISSIONS if bounded.may(name, await place(identity))] == ["audit:read"]


@pytest.mark.parametrize("role", ROLES)
async def test_a_members_key_may_what_the_member_may(identity: Identity, role: Role) -> None:
    maria = await logged_in(identity, await identity.user(acme=role))
    acme = await place(identity)
    issued = await identity.keys.make("mine", organization_id=acme, maker=maria)
    assert issued.record.role == role
    assert (await identity.keys.authenticate(issued.key)).grants == {acme: GRANTS[role]}
    for other in ROLES:
        if not GRANTS[other] <= GRANTS[role]:
            with pytest.raises(ForbiddenError, match="cannot give"):
                await identity.keys.make("more", organization_id=acme, role=other, maker=maria)
    missing = sorted(PERMISSIONS.keys() - GRANTS[role])
    for permission in missing[:3]:
        with pytest.raises(ForbiddenError, match=permission):
            await identity.keys.make("more", organization_id=acme, scopes=[permission], maker=maria)


async def test_scopes_bound_a_key(identity: Identity) -> None:
    acme = await place(identity)
    issued = await identity.keys.make("ci", organization_id=acme, scopes=["tasks:read", "tasks:write"])
    assert (await identity.keys.authenticate(issued.key)).grants[acme] == {"tasks:read", "tasks:write"}
    for scopes, why in (
        (["tasks:juggle"], "no permission tasks:juggle"),
        ([], "without any scope"),
    ):
        with pytest.raises(InvalidInputError, match=why):
            await identity.keys.make("bad", organization_id=acme, scopes=scopes)
    with pytest.raises(InvalidInputError, match="viewer does not hold"):
        await identity.keys.make("bad", organization_id=acme, role="viewer", scopes=["tasks:write"])


async def test_a_key_made_with_a_key_gets_no_more_and_lives_no_longer(identity: Identity) -> None:
    acme = await place(identity)
    soon = datetime.now(UTC) + timedelta(days=1)
    first = await identity.keys.make(
        "first", organization_id=acme, scopes=["keys:write", "tasks:read"], expires_at=soon
    )
    maker = await identity.keys.authenticate(first.key)
    second = await identity.keys.make("second", organization_id=acme, maker=maker)
    assert second.record.expires_at == soon
    assert (await identity.keys.authenticate(second.key)).grants[acme] == {"keys:write", "tasks:read"}
    with pytest.raises(ForbiddenError):
        await identity.keys.make("third", organization_id=acme, role="owner", maker=maker)
    with pytest.raises(ForbiddenError, match="administrators only"):
        await identity.keys.make("fourth", maker=maker)


async def test_a_members_key_follows_the_member_down_and_out(identity: Identity) -> None:
    maria = await identity.user(acme="admin")
    acme = await place(identity)
    issued = await identity.keys.make("mine", organization_id=acme, maker=await logged_in(identity, maria))
    await identity.memberships.change_role(acme, maria.id, "viewer", actor=SYSTEM, rank="owner")
    assert (await identity.keys.authenticate(issued.key)).grants == {acme: GRANTS["viewer"]}
    await identity.memberships.remove(acme, maria.id, actor=SYSTEM, rank="owner")
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(issued.key)
    await identity.memberships.add(acme, maria.id, "owner", actor=SYSTEM)
    # The role at the making is what it never exceeds.
    assert (await identity.keys.authenticate(issued.key)).grants == {acme: GRANTS["admin"]}
    await identity.accounts.disable(maria.id, actor=SYSTEM)
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(issued.key)


async def test_expired_and_revoked_keys_open_nothing(identity: Identity) -> None:
    acme, rival = await place(identity), await place(identity, "rival")
    with pytest.raises(InvalidInputError, match="expired already"):
        await identity.keys.make("late", organization_id=acme, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    late = await identity.keys.make("late", organization_id=acme, expires_at=datetime.now(UTC) + timedelta(days=1))
    assert await identity.keys.authenticate(late.key)
    identity.as_superuser("update api_keys set expires_at = now()")
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(late.key)
    by_id, twin, theirs = [await identity.keys.make("ci", organization_id=where) for where in (acme, acme, rival)]
    assert await identity.keys.revoke(by_id.record.id, organization_id=acme) == 1
    with pytest.raises(NotFoundError):
        await identity.keys.revoke(theirs.record.id, organization_id=acme)
    assert await identity.keys.revoke("ci", organization_id=acme) == 1
    for gone in (by_id, twin):
        with pytest.raises(UnauthorizedError):
            await identity.keys.authenticate(gone.key)
    assert await identity.keys.authenticate(theirs.key)
    assert await identity.keys.revoke("ci") == 1
    with pytest.raises(NotFoundError):
        await identity.keys.revoke("ci")
    assert len(identity.acts("key.revoked")) == 3


async def test_one_organization_sees_only_its_keys(identity: Identity) -> None:
    acme, rival = await place(identity), await place(identity, "rival")
    await identity.keys.issue("admin")
    mine = [await identity.keys.make(f"mine {number}", organization_id=acme) for number in range(3)]
    theirs = await identity.keys.make("theirs", organization_id=rival)
    first = await identity.keys.list(acme, limit=2)
    rest = await identity.keys.list(acme, limit=2, cursor=first.next_cursor)
    assert [key.id for key in first.items + rest.items] == [issued.record.id for issued in mine[::-1]]
    assert {key.organization for key in first.items} == {"acme"}
    with pytest.raises(NotFoundError):
        await identity.keys.get(acme, theirs.record.id)
    assert [key.organization for key in (await identity.keys.list()).items] == ["rival", "acme", "acme", "acme", None]


async def test_a_service_accounts_keys_have_its_role_and_end_with_it(identity: Identity) -> None:
    acme = await place(identity)
    account = await identity.service_accounts.create(acme, "importer", "operator")
    issued = await identity.keys.make("importer key", organization_id=acme, service_account="importer")
    caller = await identity.keys.authenticate(issued.key)
    assert (caller.kind, caller.id, caller.name) == ("service", account.id, "importer")
    assert caller.grants == {acme: GRANTS["operator"]}
    await identity.service_accounts.set_role(acme, "importer", "viewer")
    assert (await identity.keys.authenticate(issued.key)).grants == {acme: GRANTS["viewer"]}
    await identity.service_accounts.disable(acme, account.id)
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(issued.key)
    with pytest.raises(NotFoundError, match="enabled"):
        await identity.keys.make("another", organization_id=acme, service_account="importer")
    await identity.service_accounts.enable(acme, "importer")
    assert await identity.keys.authenticate(issued.key)
    await identity.service_accounts.remove(acme, "importer")
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(issued.key)
    assert len(identity.as_superuser("select 1 from audit_entries where action like 'service_account.%%'")) == 5


async def test_a_service_account_outlives_its_maker_and_gives_no_way_up(identity: Identity) -> None:
    maria = await identity.user(acme="admin")
    admin = await logged_in(identity, maria)
    acme = await place(identity)
    with pytest.raises(ForbiddenError, match="cannot give"):
        await identity.service_accounts.create(acme, "boss", "owner", maker=admin)
    await identity.service_accounts.create(acme, "boss", "owner", maker=MACHINE)
    through = await identity.keys.make("through", organization_id=acme, service_account="boss", maker=admin)
    assert (await identity.keys.authenticate(through.key)).grants == {acme: GRANTS["admin"]}
    for change in (identity.service_accounts.disable, identity.service_accounts.remove):
        with pytest.raises(ForbiddenError):
            await change(acme, "boss", maker=admin)
    await identity.service_accounts.create(acme, "importer", "operator", maker=admin)
    issued = await identity.keys.make("importer key", organization_id=acme, service_account="importer", maker=admin)
    await identity.accounts.disable(maria.id, actor=SYSTEM)
    assert await identity.keys.authenticate(issued.key)
    with pytest.raises(ConflictError, match="exists already"):
        await identity.service_accounts.create(acme, "importer", "viewer")


async def test_an_administrators_own_key_ends_with_the_administration(identity: Identity) -> None:
    maria = await identity.user()
    await identity.user("olaf")
    await identity.accounts.set_admin(maria.id, True, actor=SYSTEM)
    issued = await identity.keys.make("mine", maker=await logged_in(identity, maria))
    assert (await identity.keys.authenticate(issued.key)).is_unbounded_admin
    identity.as_superuser("update users set is_admin = true")
    identity.as_superuser("update users set is_admin = false where id = %s", maria.id)
    with pytest.raises(UnauthorizedError):
        await identity.keys.authenticate(issued.key)


async def test_nobody_revokes_a_key_that_may_more_than_they(identity: Identity) -> None:
    acme = await place(identity)
    admin = await logged_in(identity, await identity.user(acme="admin"))
    owners = await identity.keys.make("nightly", organization_id=acme, role="owner")
    lesser = await identity.keys.make("nightly", organization_id=acme, role="operator")
    bounded = await identity.keys.make("bounded", organization_id=acme, role="owner", scopes=["tasks:read"])
    for reference in (owners.record.id, "nightly"):
        with pytest.raises(ForbiddenError, match="may do what you may not"):
            await identity.keys.revoke(reference, organization_id=acme, maker=admin)
    # All of a name or none.
    for key in (owners, lesser):
        assert await identity.keys.authenticate(key.key)
    assert identity.acts("key.revoked") == []
    assert await identity.keys.revoke(lesser.record.id, organization_id=acme, maker=admin) == 1
    assert await identity.keys.revoke(bounded.record.id, organization_id=acme, maker=admin) == 1
    itself = await identity.keys.authenticate(owners.key)
    assert await identity.keys.revoke("nightly", organization_id=acme, maker=itself) == 1


async def test_ones_own_key_can_be_revoked_after_losing_a_role(identity: Identity) -> None:
    acme = await place(identity)
    await identity.user("Other", acme="owner")
    maria = await identity.user(acme="owner")
    mine = await identity.keys.make("mine", organization_id=acme, maker=await logged_in(identity, maria))
    await identity.memberships.change_role(acme, maria.id, "admin", actor=SYSTEM, rank="owner")
    lesser = await logged_in(identity, maria)
    assert await identity.keys.revoke(mine.record.id, organization_id=acme, maker=lesser) == 1


async def test_a_name_in_several_organizations_is_revoked_in_none_until_one_is_said(identity: Identity) -> None:
    acme, rival = await place(identity), await place(identity, "rival")
    ours, theirs = [await identity.keys.make("ci", organization_id=where) for where in (acme, rival)]
    every = await identity.keys.make("ci")
    with pytest.raises(InvalidInputError, match=r"acme, rival, the whole installation .* --org, or give the key's id"):
        await identity.keys.revoke("ci")
    for key in (ours, theirs, every):
        assert await identity.keys.authenticate(key.key)
    assert await identity.keys.revoke(every.record.id) == 1
    assert await identity.keys.revoke("ci", organization_id=acme) == 1
    assert await identity.keys.authenticate(theirs.key)
    assert await identity.keys.revoke("ci") == 1
