"""Erasure of people who have accounts."""

import pytest

from bailiwick.identity.oidc.providers import NewIdentityProvider
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.privacy.conftest import CLERK, Bureau
from tests.integration.privacy.people import CARA, DAN, request

# Whole installations at work; a busy machine takes its time.
pytestmark = pytest.mark.timeout(180)


async def test_an_account_goes_with_its_person_unless_others_need_it(bureau: Bureau) -> None:
    accounts, memberships = bureau.installation.accounts, bureau.installation.memberships
    alone = await accounts.create(CARA.email, CARA.name, actor=CLERK)
    shared = await accounts.create(DAN.email, DAN.name, actor=CLERK)
    owner = await accounts.create("boss@canary.test", "The Boss", actor=CLERK)
    await memberships.add(bureau.acme.id, owner.id, "owner", actor=CLERK)
    for user in (alone, shared):
        await memberships.add(bureau.acme.id, user.id, "viewer", actor=CLERK)
    await memberships.add(bureau.rival.id, owner.id, "owner", actor=CLERK)
    await memberships.add(bureau.rival.id, shared.id, "viewer", actor=CLERK)
    async with bureau.installation.run_worker():
        certificates: list[dict[str, object]] = []
        for person in (CARA, DAN):
            subject = await bureau.register(bureau.acme, f"email:{person.email}")
            request_id = await request(bureau, bureau.acme, subject)
            await bureau.request_ends(bureau.acme, request_id)
            certificate = await bureau.installation.privacy.requests.certificate(bureau.acme.id, request_id)
            certificates.append({one["place"]: one["rows"] for one in certificate["statement"]["kept"]})
    rows = await bureau.installation.database.fetch_all("select email from users order by email")
    assert [row["email"] for row in rows] == ["boss@canary.test", DAN.email]
    rows = await bureau.installation.database.fetch_all(
        "select user_id from memberships", organization_id=bureau.acme.id
    )
    assert [row["user_id"] for row in rows] == [owner.id]
    assert "users" not in certificates[0]
    assert certificates[1]["users"] == 1


@pytest.mark.parametrize("is_last", [True, False])
async def test_an_owner_keeps_the_account_whole(bureau: Bureau, is_last: bool) -> None:
    """Admins may erase and may not remove owners: erasing must not remove one for them."""
    owner = await bureau.installation.accounts.create(CARA.email, CARA.name, actor=CLERK)
    await bureau.installation.memberships.add(bureau.acme.id, owner.id, "owner", actor=CLERK)
    if not is_last:
        other = await bureau.installation.accounts.create("boss@canary.test", "The Boss", actor=CLERK)
        await bureau.installation.memberships.add(bureau.acme.id, other.id, "owner", actor=CLERK)
    await bureau.installation.sessions.begin(owner.id, methods=["pwd"], address=None, user_agent=None)
    new = NewIdentityProvider("company", "Company", "https://idp.canary.test", "bailiwick")
    provider = await bureau.installation.ways_in.providers.add(INSTALLATION, new, actor=CLERK)
    await bureau.installation.database.execute(
        "insert into mapped_memberships (provider_id, user_id, organization_id, role) values (%s, %s, %s, 'owner')",
        (provider.id, owner.id, bureau.acme.id),
        organization_id=bureau.acme.id,
    )
    async with bureau.installation.run_worker():
        subject = await bureau.register(bureau.acme, f"email:{CARA.email}")
        request_id = await request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    certificate = await bureau.installation.privacy.requests.certificate(bureau.acme.id, request_id)
    kept = {one["place"]: one["rows"] for one in certificate["statement"]["kept"]}
    assert (kept["memberships"], kept["users"]) == (1, 1)
    mapped = await bureau.installation.database.fetch_all(
        "select role from mapped_memberships where user_id = %s", (owner.id,), organization_id=bureau.acme.id
    )
    assert [row["role"] for row in mapped] == ["owner"]
    sessions = await bureau.installation.database.fetch_all("select from sessions where user_id = %s", (owner.id,))
    assert len(sessions) == 1
