"""Memberships on a real database: always an owner, never a role above one's own."""

import asyncio

import psycopg
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from tests.integration.identity.conftest import Town


async def test_the_first_member_of_an_organization_is_its_owner(town: Town) -> None:
    organization = await town.organizations.create("Acme")
    ada = (await town.user("ada")).id
    with pytest.raises(ConflictError, match="needs an owner"):
        await town.memberships.add(organization.id, ada, "viewer", actor=SYSTEM)
    await town.memberships.add(organization.id, ada, "owner", actor=SYSTEM)
    assert await town.memberships.find(organization.id, ada) == "owner"


async def test_the_last_owner_cannot_leave_be_demoted_or_removed(town: Town) -> None:
    organization = await town.organizations.create("Acme")
    ada, ben = (await town.user("ada")).id, (await town.user("ben")).id
    await town.memberships.add(organization.id, ada, "owner", actor=SYSTEM)
    await town.memberships.add(organization.id, ben, "admin", actor=SYSTEM)
    with pytest.raises(ConflictError):
        await town.memberships.change_role(organization.id, ada, "admin", actor=SYSTEM, rank="owner")
    with pytest.raises(ConflictError):
        await town.memberships.remove(organization.id, ada, actor=SYSTEM, rank="owner")
    await town.memberships.change_role(organization.id, ben, "owner", actor=SYSTEM, rank="owner")
    await town.memberships.remove(organization.id, ada, actor=SYSTEM, rank="owner")
    assert [member.name for member in (await town.memberships.list(organization.id)).items] == ["ben"]


async def test_not_even_deleting_the_user_takes_the_last_owner_away(town: Town, login_url: str) -> None:
    organization = await town.organizations.create("Acme")
    ada = (await town.user("ada")).id
    await town.memberships.add(organization.id, ada, "owner", actor=SYSTEM)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        await town.database.execute("delete from users where id = %s", (ada,))
    # An organization that is given up takes its memberships along.
    async with await psycopg.AsyncConnection.connect(login_url) as superuser:
        await superuser.execute("delete from organizations where id = %s", (organization.id,))
    assert await town.memberships.find(organization.id, ada) is None


async def test_of_two_owners_who_step_down_at_once_one_stays(town: Town) -> None:
    for round_number in range(5):
        organization = await town.organizations.create(f"Acme {round_number}")
        owners = [(await town.user(f"{name}{round_number}")).id for name in ("ada", "ben")]
        for owner in owners:
            await town.memberships.add(organization.id, owner, "owner", actor=SYSTEM)
        answers = await asyncio.gather(
            *(
                town.memberships.change_role(organization.id, owner, "viewer", actor=SYSTEM, rank="owner")
                for owner in owners
            ),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["ConflictError", "Member"]


async def test_nobody_touches_a_role_above_their_own(town: Town) -> None:
    organization = await town.organizations.create("Acme")
    ada, ben, cleo = [(await town.user(name)).id for name in ("ada", "ben", "cleo")]
    await town.memberships.add(organization.id, ada, "owner", actor=SYSTEM)
    await town.memberships.add(organization.id, ben, "admin", actor=SYSTEM)
    with pytest.raises(ForbiddenError):
        await town.memberships.add(organization.id, cleo, "owner", actor=SYSTEM, rank="admin")
    with pytest.raises(ForbiddenError):
        await town.memberships.change_role(organization.id, ben, "owner", actor=SYSTEM, rank="admin")
    with pytest.raises(ForbiddenError):
        await town.memberships.change_role(organization.id, ada, "viewer", actor=SYSTEM, rank="admin")
    with pytest.raises(ForbiddenError):
        await town.memberships.remove(organization.id, ada, actor=SYSTEM, rank="admin")


async def test_an_organization_sees_its_own_members_only(town: Town) -> None:
    acme, rival = await town.organizations.create("Acme"), await town.organizations.create("Rival")
    ada, ben = (await town.user("ada")).id, (await town.user("ben")).id
    await town.memberships.add(acme.id, ada, "owner", actor=SYSTEM)
    await town.memberships.add(rival.id, ben, "owner", actor=SYSTEM)
    assert [member.user_id for member in (await town.memberships.list(acme.id)).items] == [ada]
    with pytest.raises(NotFoundError):
        await town.memberships.get(acme.id, ben)
    rows = await town.database.fetch_all("select user_id from memberships", organization_id=acme.id)
    assert [row["user_id"] for row in rows] == [ada]
    assert [(found.slug, found.role) for found in await town.memberships.of_user(ben)] == [("rival", "owner")]


async def test_a_disabled_user_has_no_role(town: Town) -> None:
    organization = await town.organizations.create("Acme")
    ada = (await town.user("ada")).id
    await town.memberships.add(organization.id, ada, "owner", actor=SYSTEM)
    await town.accounts.disable(ada, actor=SYSTEM)
    assert await town.memberships.find(organization.id, ada) is None
