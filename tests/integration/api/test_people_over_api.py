"""People over the API: getting in, joining, and never rising above one's own role by any field."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.people.accounts import User
from bailiwick.identity.people.permissions import ROLES, Role
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.api.conftest import Premises

GOOD = "vexed otter prints maps"
BETTER = "seven quiet anvils drift"


class People:
    """Makes members and clients that are logged in as them."""

    def __init__(self, premises: Premises) -> None:
        self.premises = premises
        self.platform = premises.installation

    async def member(self, name: str, role: Role, *, organization_id: str | None = None) -> User:
        user = await self.platform.passwords.create_user(f"{name}@example.org", name, GOOD, actor=SYSTEM)
        await self.platform.memberships.add(organization_id or self.premises.acme.id, user.id, role, actor=SYSTEM)
        return user

    @asynccontextmanager
    async def as_user(self, user: User) -> AsyncGenerator[httpx.AsyncClient]:
        pair = await self.platform.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
        async with self.premises.client(pair.access) as client:
            yield client

    async def role_of(self, user: User) -> Role | None:
        return await self.platform.memberships.find(self.premises.acme.id, user.id)


@pytest.fixture
def people(premises: Premises) -> People:
    return People(premises)


def _token(link: str) -> str:
    return link.partition("?token=")[2]


async def test_the_first_person_gets_in_by_the_owner_link_and_the_second_does_not(premises: Premises) -> None:
    token = await premises.installation.owner_link.issue()
    body = {"token": token, "email": "ada@example.org", "name": "Ada", "password": GOOD}
    async with premises.client() as anybody:
        made = await anybody.post("/api/v1/setup", json=body)
        assert made.status_code == 201
        assert made.json()["is_admin"]
        again = await anybody.post("/api/v1/setup", json={**body, "email": "ben@example.org"})
        assert again.status_code == 422
        assert again.json()["code"] == "link.refused"
        for page in ("setup", "invitation", "password"):
            shown = await anybody.get(f"/{page}", params={"token": token})
            assert shown.status_code == 200
            assert token not in shown.text


async def test_registration_is_closed_unless_it_is_switched_on(premises: Premises) -> None:
    body = {"email": "ben@example.org", "name": "Ben", "password": GOOD}
    async with premises.client() as anybody:
        closed = await anybody.post("/api/v1/registration", json=body)
        assert closed.status_code == 403
        premises.installation.settings.open_registration = True
        for field in ({"role": "owner"}, {"roles": ["admin"]}, {"is_admin": True}, {"organization": "acme"}):
            assert (await anybody.post("/api/v1/registration", json={**body, **field})).status_code == 422
        opened = await anybody.post("/api/v1/registration", json=body)
        assert opened.status_code == 201
        assert not opened.json()["is_admin"]
        assert (await anybody.post("/api/v1/registration", json=body)).status_code == 409
    assert await premises.installation.memberships.of_user(opened.json()["id"]) == []


async def test_who_registered_sees_nothing_until_invited(premises: Premises, people: People) -> None:
    await people.member("ada", "owner")
    ben = await premises.installation.passwords.create_user("ben@example.org", "Ben", GOOD, actor=SYSTEM)
    async with people.as_user(ben) as client:
        assert (await client.get("/api/v1/tasks")).status_code == 403
        assert (await client.get("/api/v1/tasks?organization=acme")).status_code == 404
        assert (await client.get("/api/v1/users/me/memberships")).json() == {"items": []}


async def test_an_invitation_is_made_shown_accepted_and_then_spent(premises: Premises, people: People) -> None:
    ada = await people.member("ada", "owner")
    async with people.as_user(ada) as owner, premises.client() as anybody:
        made = await owner.post("/api/v1/invitations", json={"email": "Ben@example.org", "role": "developer"})
        assert made.status_code == 201
        assert made.json()["mail"] == "not configured"
        body = {"token": _token(made.json()["link"]), "name": "Ben", "password": GOOD}
        short = await anybody.post("/api/v1/invitations/accept", json={**body, "password": "short"})
        assert short.json()["code"] == "password.refused"
        refused = await anybody.post("/api/v1/invitations/accept", json={**body, "role": "owner"})
        assert refused.status_code == 422
        answers = await asyncio.gather(*(anybody.post("/api/v1/invitations/accept", json=body) for _ in range(2)))
        assert sorted(answer.status_code for answer in answers) == [201, 422]
        listed = (await owner.get("/api/v1/invitations")).json()["items"]
        assert [one["state"] for one in listed] == ["accepted"]
        assert body["token"] not in str(listed)
        members = (await owner.get("/api/v1/members")).json()["items"]
        assert {one["email"]: one["role"] for one in members} == {
            "ada@example.org": "owner",
            "ben@example.org": "developer",
        }


async def test_who_has_an_account_joins_as_themselves(premises: Premises, people: People) -> None:
    ada = await people.member("ada", "owner")
    ben = await people.member("ben", "owner", organization_id=premises.rival.id)
    async with people.as_user(ada) as owner, people.as_user(ben) as client:
        made = await owner.post("/api/v1/invitations", json={"email": ben.email, "role": "viewer"})
        joined = await client.post("/api/v1/users/me/memberships", json={"token": _token(made.json()["link"])})
        assert joined.status_code == 201
        assert (joined.json()["slug"], joined.json()["role"]) == ("acme", "viewer")
        found = (await client.get("/api/v1/users/me/memberships")).json()["items"]
        assert [(one["slug"], one["role"]) for one in found] == [("acme", "viewer"), ("rival", "owner")]


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_raises_anybody_above_their_own_role(people: People, role: Role) -> None:
    ada = await people.member("ada", "owner")
    me = await people.member("me", role)
    other = await people.member("other", "viewer")
    async with people.as_user(me) as client:
        for wanted in ROLES:
            is_above = ROLES.index(wanted) > ROLES.index(role) or role not in ("admin", "owner")
            for target in (me, other):
                changed = await client.patch(f"/api/v1/members/{target.id}", json={"role": wanted})
                assert (changed.status_code == 403) == is_above, (role, wanted, target.name)
                if not is_above:
                    await people.platform.memberships.change_role(
                        people.premises.acme.id, me.id, role, actor=SYSTEM, rank="owner"
                    )
            invited = await client.post("/api/v1/invitations", json={"email": f"{wanted}@example.net", "role": wanted})
            assert (invited.status_code == 403) == is_above, (role, wanted)
        if role != "owner":
            for method in ("patch", "delete"):
                body: dict[str, Any] = {"json": {"role": "viewer"}} if method == "patch" else {}
                answer = await client.request(method, f"/api/v1/members/{ada.id}", **body)
                assert answer.status_code == 403, (role, method)
    assert await people.role_of(ada) == "owner"


async def test_no_field_of_any_request_lifts_its_sender(premises: Premises, people: People) -> None:
    await people.member("ada", "owner")
    ben = await people.member("ben", "admin")
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("patch", "/api/v1/users/me", {"name": "Ben", "is_admin": True}),
        ("patch", "/api/v1/users/me", {"name": "Ben", "email": "ada@example.org"}),
        ("patch", "/api/v1/users/me", {"name": "Ben", "role": "owner"}),
        ("patch", f"/api/v1/users/{ben.id}", {"is_admin": True}),
        ("post", "/api/v1/users", {"email": "eve@example.org", "name": "Eve", "is_admin": True}),
        ("post", f"/api/v1/users/{ben.id}/reset-link", {}),
        ("patch", f"/api/v1/members/{ben.id}", {"role": "owner"}),
        ("patch", f"/api/v1/members/{ben.id}", {"role": "admin", "rank": "owner"}),
        ("patch", f"/api/v1/members/{ben.id}?organization=rival", {"role": "owner"}),
        ("post", "/api/v1/invitations", {"email": "ben2@example.org", "role": "owner"}),
        ("post", "/api/v1/invitations?organization=rival", {"email": "ben@example.org", "role": "viewer"}),
        ("post", "/api/v1/invitations", {"email": "x@example.org", "role": "viewer", "organization_id": "rival"}),
        ("post", "/api/v1/invitations", {"email": "x@example.org", "role": "superuser"}),
        ("post", "/api/v1/users/me/memberships", {"token": "x" * 43, "role": "owner"}),
        ("post", "/api/v1/setup", {"token": "x" * 43, "email": "e@example.org", "name": "E", "password": GOOD}),
    ]
    async with people.as_user(ben) as client:
        for method, path, body in attempts:
            answer = await client.request(method, path, json=body)
            assert answer.status_code in (403, 404, 422), (path, body, answer.status_code)
    assert await people.role_of(ben) == "admin"
    assert not (await premises.installation.accounts.get(ben.id)).is_admin
    assert [one.slug for one in await premises.installation.memberships.of_user(ben.id)] == ["acme"]


async def test_a_demotion_holds_at_the_next_request(premises: Premises, people: People) -> None:
    ada, ben = await people.member("ada", "owner"), await people.member("ben", "admin")
    async with people.as_user(ada) as owner, people.as_user(ben) as client:
        assert (await owner.patch(f"/api/v1/members/{ben.email}", json={"role": "viewer"})).status_code == 200
        assert (await client.patch(f"/api/v1/members/{ben.id}", json={"role": "admin"})).status_code == 403
    entries = (await premises.installation.audit.list(premises.acme.id)).items
    change = next(entry for entry in entries if entry.action == "member.role_changed")
    assert (change.before, change.after) == ({"role": "admin"}, {"role": "viewer"})
    assert change.actor.id == ada.id


async def test_everybody_may_leave_but_the_last_owner(people: People) -> None:
    ada, ben = await people.member("ada", "owner"), await people.member("ben", "viewer")
    async with people.as_user(ben) as client:
        assert (await client.delete(f"/api/v1/members/{ada.id}")).status_code == 403
        assert (await client.delete(f"/api/v1/members/{ben.id}")).status_code == 204
    async with people.as_user(ada) as owner:
        assert (await owner.delete(f"/api/v1/members/{ada.id}")).status_code == 409
        assert (await owner.patch(f"/api/v1/members/{ada.id}", json={"role": "admin"})).status_code == 409


async def test_a_member_of_another_organization_is_not_found(premises: Premises, people: People) -> None:
    ada = await people.member("ada", "owner")
    ben = await people.member("ben", "owner", organization_id=premises.rival.id)
    async with people.as_user(ada) as owner:
        for reference in (ben.id, ben.email):
            assert (await owner.patch(f"/api/v1/members/{reference}", json={"role": "viewer"})).status_code == 404
            assert (await owner.delete(f"/api/v1/members/{reference}")).status_code == 404
        assert ben.email not in (await owner.get("/api/v1/members")).text
        assert (await owner.get("/api/v1/users")).status_code == 403


async def test_changing_ones_password_takes_the_old_one_and_ends_the_other_sessions(people: People) -> None:
    ada = await people.member("ada", "owner")
    async with people.as_user(ada) as here, people.as_user(ada) as there:
        wrong = await here.post(
            "/api/v1/users/me/password", json={"old_password": BETTER, "new_password": "nine green ladders hum"}
        )
        assert wrong.status_code == 403
        weak = await here.post("/api/v1/users/me/password", json={"old_password": GOOD, "new_password": "password"})
        assert weak.json()["code"] == "password.refused"
        changed = await here.post("/api/v1/users/me/password", json={"old_password": GOOD, "new_password": BETTER})
        assert changed.status_code == 204
        assert (await here.get("/api/v1/users/me")).status_code == 200
        assert (await there.get("/api/v1/users/me")).status_code == 401
    assert await people.platform.passwords.check(ada, BETTER)


async def test_a_reset_link_sets_the_password_and_ends_every_session(
    premises: Premises, people: People, admin: httpx.AsyncClient
) -> None:
    ada = await people.member("ada", "owner")
    link = (await admin.post(f"/api/v1/users/{ada.id}/reset-link")).json()["link"]
    async with people.as_user(ada) as client, premises.client() as anybody:
        body = {"token": _token(link), "password": BETTER}
        assert (await anybody.post("/api/v1/password/reset", json=body)).status_code == 204
        assert (await anybody.post("/api/v1/password/reset", json=body)).status_code == 422
        assert (await client.get("/api/v1/users/me")).status_code == 401
    assert await people.platform.passwords.check(ada, BETTER)


async def test_an_administrator_makes_disables_and_enables_users(
    premises: Premises, people: People, admin: httpx.AsyncClient
) -> None:
    made = (await admin.post("/api/v1/users", json={"email": "eve@example.org", "name": "Eve"})).json()
    async with premises.client() as anybody:
        body = {"token": _token(made["link"]), "password": GOOD}
        assert (await anybody.post("/api/v1/password/reset", json=body)).status_code == 204
    eve = await premises.installation.accounts.get(made["user"]["id"])
    async with people.as_user(eve) as client:
        disabled = await admin.patch(f"/api/v1/users/{eve.id}", json={"is_disabled": True})
        assert disabled.json()["is_disabled"]
        assert (await client.get("/api/v1/users/me")).status_code == 401
    await admin.patch(f"/api/v1/users/{eve.id}", json={"is_disabled": False, "name": "Eva"})
    listed = (await admin.get("/api/v1/users?limit=1")).json()
    assert (listed["items"][0]["name"], listed["items"][0]["is_disabled"]) == ("Eva", False)
    assert (await admin.get("/api/v1/users/me")).status_code == 403


async def test_no_password_and_no_token_reaches_the_audit_log_or_an_answer(premises: Premises, people: People) -> None:
    ada = await people.member("ada", "owner")
    async with people.as_user(ada) as owner, premises.client() as anybody:
        link = (await owner.post("/api/v1/invitations", json={"email": "b@example.org", "role": "viewer"})).json()[
            "link"
        ]
        body = {"token": _token(link), "name": "B", "password": GOOD}
        texts = [(await anybody.post("/api/v1/invitations/accept", json=body)).text]
        texts.append((await anybody.post("/api/v1/invitations/accept", json={**body, "password": 7})).text)
        texts.append((await anybody.post("/api/v1/invitations/accept", json={**body, "name": 7})).text)
    audit = premises.installation.audit
    texts += [str((await audit.list(chain, limit=500)).items) for chain in (INSTALLATION, premises.acme.id)]
    for secret in (GOOD, body["token"]):
        assert not any(secret in text for text in texts)
