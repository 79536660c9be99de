"""Whom agents know: the people of their organization and its keys, and nobody else's."""

from bailiwick.packs.operations.departments.desk import Member
from bailiwick.packs.operations.likeness import Likenesses
from bailiwick.packs.operations.sql_desk import SqlDesk
from bailiwick.storage import Database
from tests.support.identity import Identity


async def test_agents_know_the_people_and_keys_of_their_organization(database: Database, login_url: str) -> None:
    identity = Identity.of(database, login_url)
    await identity.user("maria", acme="owner")
    await identity.user("olaf", rival="owner")
    acme = await identity.organizations.get("acme")
    await identity.keys.make("ci", organization_id=acme.id, role="operator")
    await identity.keys.issue("admin")
    assert await SqlDesk(database, acme.id, Likenesses(database)).members() == [
        Member("maria", "person", ("owner",), can_approve=True),
        Member("ci", "key", ("operator",)),
    ]
