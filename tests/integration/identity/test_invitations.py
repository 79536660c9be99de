"""Invitations: used once, by the invited address, never above the inviter."""

import asyncio

import pytest

from bailiwick.audit import SYSTEM, Actor
from bailiwick.identity import Caller, Keys
from bailiwick.identity.login.password_rules import PasswordRefusedError
from bailiwick.identity.people.one_time_links import LinkRefusedError
from bailiwick.identity.people.permissions import GRANTS
from bailiwick.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from tests.integration.identity.conftest import BETTER, GOOD, Town


async def test_a_new_person_accepts_with_name_and_password_and_logs_in(town: Town) -> None:
    acme = await town.organization(ada="owner")
    made, token = await town.invitations.create(acme, "Ben@Example.org", "developer", actor=SYSTEM, rank="owner")
    assert (made.email, made.role, made.state) == ("ben@example.org", "developer", "pending")
    ben = await town.invitations.accept_as_new(token, name="Ben", password=GOOD, address=None)
    assert await town.memberships.find(acme, ben.id) == "developer"
    assert (await town.passwords.authenticate("ben@example.org", GOOD, address=None)).id == ben.id
    assert [one.state for one in (await town.invitations.list(acme)).items] == ["accepted"]
    assert (await town.acts(acme))[-2:] == ["member.invited", "member.added"]
    assert not ben.is_admin
    assert ben.email_verified_at is None


async def test_who_has_an_account_accepts_as_themselves(town: Town) -> None:
    acme = await town.organization(ada="owner")
    ben = await town.user("ben")
    _, token = await town.invitations.create(acme, ben.email, "viewer", actor=SYSTEM, rank="owner")
    with pytest.raises(ConflictError, match="log in"):
        await town.invitations.accept_as_new(token, name="Not Ben", password=GOOD, address=None)
    cleo = await town.user("cleo")
    with pytest.raises(ForbiddenError, match="another email address"):
        await town.invitations.accept_as(cleo, token, address=None)
    assert await town.invitations.accept_as(ben, token, address=None) == acme
    assert await town.memberships.find(acme, ben.id) == "viewer"


async def test_of_two_who_accept_one_invitation_at_once_one_is_let_in(town: Town) -> None:
    for number in range(3):
        acme = await town.organization(f"Acme {number}", ada="owner")
        _, token = await town.invitations.create(acme, f"ben{number}@example.org", "viewer", actor=SYSTEM, rank="owner")
        answers = await asyncio.gather(
            *(town.invitations.accept_as_new(token, name="Ben", password=GOOD, address=None) for _ in range(2)),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["LinkRefusedError", "User"]
        assert len((await town.memberships.list(acme)).items) == 2


async def test_nobody_invites_above_their_own_role(town: Town) -> None:
    acme = await town.organization(ada="owner")
    with pytest.raises(ForbiddenError):
        await town.invitations.create(acme, "ben@example.org", "owner", actor=SYSTEM, rank="admin")


async def test_a_revoked_replaced_expired_or_used_invitation_opens_nothing(town: Town) -> None:
    acme = await town.organization(ada="owner")

    async def refused(token: str) -> None:
        with pytest.raises(LinkRefusedError):
            await town.invitations.accept_as_new(token, name="Ben", password=GOOD, address=None)

    made, revoked = await town.invitations.create(acme, "ben@example.org", "viewer", actor=SYSTEM, rank="owner")
    await town.invitations.revoke(acme, made.id, actor=SYSTEM)
    await refused(revoked)
    with pytest.raises(NotFoundError):
        await town.invitations.revoke(acme, made.id, actor=SYSTEM)
    _, replaced = await town.invitations.create(acme, "ben@example.org", "admin", actor=SYSTEM, rank="owner")
    again, token = await town.invitations.create(acme, "ben@example.org", "viewer", actor=SYSTEM, rank="owner")
    await refused(replaced)
    await town.as_superuser("update invitations set expires_at = now() - interval '1 second' where id = %s", again.id)
    await refused(token)
    states = [one.state for one in (await town.invitations.list(acme)).items]
    assert states == ["expired", "revoked", "revoked"]
    await refused("")
    await refused("x" * 200)


async def test_a_refused_password_leaves_the_invitation_good(town: Town) -> None:
    acme = await town.organization(ada="owner")
    _, token = await town.invitations.create(acme, "ben@example.org", "viewer", actor=SYSTEM, rank="owner")
    with pytest.raises(PasswordRefusedError):
        await town.invitations.accept_as_new(token, name="Ben", password="short", address=None)
    assert await town.accounts.find_by_email("ben@example.org") is None
    await town.invitations.accept_as_new(token, name="Ben", password=BETTER, address=None)


async def test_who_is_demoted_or_removed_leaves_no_invitation_behind_that_they_could_not_make(town: Town) -> None:
    acme = await town.organization(ada="owner", ben="owner", cleo="admin")
    ben = await town.id_of("ben")
    cleo = await town.id_of("cleo")
    for person, inviter, role in (("dan", ben, "owner"), ("eve", ben, "admin"), ("fay", cleo, "viewer")):
        actor = Actor("user", inviter, "inviter")
        await town.invitations.create(acme, f"{person}@example.org", role, actor=actor, rank="owner")  # type: ignore[arg-type]
    await town.memberships.change_role(acme, ben, "admin", actor=SYSTEM, rank="owner")
    await town.memberships.remove(acme, cleo, actor=SYSTEM, rank="owner")
    states = {one.email.partition("@")[0]: one.state for one in (await town.invitations.list(acme)).items}
    assert states == {"dan": "revoked", "eve": "pending", "fay": "revoked"}


async def test_what_a_member_invited_by_a_key_goes_with_them(town: Town) -> None:
    acme = await town.organization(ada="owner", ben="admin")
    ben = await town.id_of("ben")
    maker = Caller("user", ben, "Ben", grants={acme: GRANTS["admin"]})
    key = await Keys(town.database, town.audit).make("mine", organization_id=acme, maker=maker)
    actor = Actor("key", key.record.id, "mine")
    _, token = await town.invitations.create(acme, "cleo@example.org", "admin", actor=actor, rank="admin")
    await town.memberships.remove(acme, ben, actor=SYSTEM, rank="owner")
    with pytest.raises(LinkRefusedError):
        await town.invitations.accept_as_new(token, name="Cleo", password=GOOD, address=None)


async def test_a_member_is_not_invited_and_the_first_one_is_an_owner(town: Town) -> None:
    acme = await town.organization(ada="owner")
    with pytest.raises(ConflictError, match="member"):
        await town.invitations.create(acme, "ada@example.org", "viewer", actor=SYSTEM, rank="owner")
    empty = await town.organization("Empty")
    with pytest.raises(ConflictError, match="owner"):
        await town.invitations.create(empty, "ben@example.org", "viewer", actor=SYSTEM, rank="owner")


async def test_no_organization_sees_or_revokes_anothers_invitations(town: Town) -> None:
    acme, rival = await town.organization(ada="owner"), await town.organization("Rival", ben="owner")
    made, _ = await town.invitations.create(acme, "cleo@example.org", "viewer", actor=SYSTEM, rank="owner")
    assert (await town.invitations.list(rival)).items == []
    with pytest.raises(NotFoundError):
        await town.invitations.revoke(rival, made.id, actor=SYSTEM)


async def test_the_token_is_stored_nowhere(town: Town) -> None:
    acme = await town.organization(ada="owner")
    _, token = await town.invitations.create(acme, "ben@example.org", "viewer", actor=SYSTEM, rank="owner")
    rows = await town.database.fetch_all("select invitations::text as row from invitations", organization_id=acme)
    entries = await town.audit.list(acme, limit=500)
    assert rows
    assert token not in f"{rows}{entries}"
    assert token.encode().hex() not in f"{rows}"
