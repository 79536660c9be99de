"""Logins at a real OpenID Connect server: Canaille, run as a process, with its login and consent pages filled in."""

from collections.abc import Iterator

import httpx
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.oidc import GroupRole, IdentityProvider, NewIdentityProvider, ProviderPolicy, RoleGrant
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.identity.login.conftest import PASSWORD, PUBLIC_URL, Platform
from tests.support.identity_server import Client, IdentityServer, running_identity_server

SCOPES = ("openid", "email", "profile", "groups")
START, CALLBACK = "/api/v1/login/oidc/company/start", "/api/v1/login/oidc/company/callback"
# Canaille's directory is the company's own and says nothing of verification.
OPEN = ProviderPolicy(creates_accounts=True, trusts_email=True)


@pytest.fixture(scope="module")
def server() -> Iterator[IdentityServer]:
    with running_identity_server() as running:
        yield running


@pytest.fixture
def client(server: IdentityServer) -> Client:
    """An application of the test's own: with its people in memory the server mixes up codes that nobody fetched."""
    return server.register(PUBLIC_URL + CALLBACK)


async def connected(
    platform: Platform, server: IdentityServer, client: Client, policy: ProviderPolicy
) -> IdentityProvider:
    new = NewIdentityProvider(
        "company", "Company", server.issuer, client.client_id, client.client_secret, scopes=SCOPES, policy=policy
    )
    return await platform.ways.providers.add(INSTALLATION, new, actor=SYSTEM)


async def logged_in(
    browser: httpx.AsyncClient, server: IdentityServer, person: str, *, query: str = ""
) -> httpx.Response:
    started = await browser.get(START + query)
    assert started.status_code == 303, started.text
    back = server.log_in(started.headers["location"], person)
    return await browser.get(CALLBACK, params=back)


async def test_a_new_person_gets_an_account_and_a_session(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    await connected(platform, server, client, OPEN)
    answer = await logged_in(browser, server, "maria")
    assert (answer.status_code, answer.json()["state"]) == (200, "done"), answer.text
    me = (await browser.get("/api/v1/users/me")).json()
    assert (me["email"], me["name"], me["is_admin"]) == ("maria@example.org", "Maria", False)
    sessions = (await browser.get("/api/v1/sessions")).json()["items"]
    assert [(one["methods"], one["is_browser"]) for one in sessions] == [(["fed"], True)]
    assert "bailiwick_login" not in browser.cookies
    again = await logged_in(browser, server, "maria")
    assert again.json()["user"]["id"] == me["id"]


async def test_a_page_gets_its_browser_back(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    await connected(platform, server, client, OPEN)
    answer = await logged_in(browser, server, "maria", query="?return_to=/tasks")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks")
    assert (await browser.get("/api/v1/users/me")).status_code == 200


@pytest.mark.parametrize("page", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\tx"])
async def test_a_browser_is_sent_back_to_our_own_pages_only(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client, page: str
) -> None:
    await connected(platform, server, client, OPEN)
    assert (await browser.get(START, params={"return_to": page})).status_code == 422


async def test_groups_give_roles_and_take_them_back(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    grants = [
        GroupRole(group="operations", organization="acme", role="operator"),
        GroupRole(group="bosses", organization="acme", role="admin"),
    ]
    provider = await connected(platform, server, client, OPEN.model_copy(update={"group_roles": grants}))
    memberships = platform.installation.memberships
    users: dict[str, str] = {}
    for person in ("maria", "nora"):
        users[person] = (await logged_in(browser, server, person)).json()["user"]["id"]
    assert await memberships.find(platform.acme.id, users["maria"]) == "operator"
    assert await memberships.find(platform.acme.id, users["nora"]) == "admin"
    refused = await logged_in(browser, server, "paul")
    assert (refused.status_code, refused.json()["code"]) == (403, "identity.refused")

    fewer = OPEN.model_copy(update={"group_roles": grants[1:]})
    await platform.ways.providers.set_policy(INSTALLATION, provider.slug, fewer, actor=SYSTEM)
    assert (await logged_in(browser, server, "maria")).status_code == 403
    assert await memberships.find(platform.acme.id, users["maria"]) is None
    lower = OPEN.model_copy(update={"group_roles": [GroupRole(group="bosses", organization="acme", role="viewer")]})
    await platform.ways.providers.set_policy(INSTALLATION, provider.slug, lower, actor=SYSTEM)
    assert (await logged_in(browser, server, "nora")).status_code == 200
    assert await memberships.find(platform.acme.id, users["nora"]) == "viewer"


async def test_whoever_is_in_no_group_gets_the_default_role(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    default = RoleGrant(organization="acme", role="viewer")
    await connected(platform, server, client, OPEN.model_copy(update={"default_role": default}))
    user = (await logged_in(browser, server, "paul")).json()["user"]
    assert await platform.installation.memberships.find(platform.acme.id, user["id"]) == "viewer"


async def test_a_role_given_by_hand_stays_and_one_raised_by_hand_goes_back(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    grants = [GroupRole(group="operations", organization="acme", role="operator")]
    policy = OPEN.model_copy(update={"group_roles": grants, "links_by_email": True})
    await connected(platform, server, client, policy)
    memberships = platform.installation.memberships
    by_hand = await platform.person("maria", role="developer", verified=True)
    assert (await logged_in(browser, server, "maria")).status_code == 200
    assert await memberships.find(platform.acme.id, by_hand.id) == "developer"
    mapped = (await logged_in(browser, server, "nora")).json()["user"]["id"]
    await memberships.change_role(platform.acme.id, mapped, "admin", actor=SYSTEM, rank="owner")
    assert (await logged_in(browser, server, "nora")).status_code == 200
    assert await memberships.find(platform.acme.id, mapped) == "operator"


async def test_a_known_address_is_linked_only_where_the_policy_says_so_and_it_was_verified_here(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    provider = await connected(platform, server, client, OPEN)
    user = await platform.person("maria")
    assert (await logged_in(browser, server, "maria")).status_code == 403
    linking = OPEN.model_copy(update={"links_by_email": True})
    await platform.ways.providers.set_policy(INSTALLATION, provider.slug, linking, actor=SYSTEM)
    assert (await logged_in(browser, server, "maria")).status_code == 403
    await platform.installation.accounts.verify_email(user.id, actor=SYSTEM)
    assert (await logged_in(browser, server, "maria")).json()["user"]["id"] == user.id
    assert "identity.linked" in [action for action, _ in await platform.acts()]


async def test_whoever_is_logged_in_links_an_identity_by_hand_and_unlinks_it(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    provider = await connected(platform, server, client, ProviderPolicy())
    user = await platform.person("anna")
    await platform.begun(browser, "anna", session="browser")
    headers = {"x-csrf-token": browser.cookies["bailiwick_csrf"]}
    bare = await browser.post("/api/v1/users/me/identities/company/link", json={}, headers=headers)
    assert bare.json()["code"] == "confirmation.needed"
    begun = await browser.post("/api/v1/users/me/identities/company/link", json={"password": PASSWORD}, headers=headers)
    linked = await browser.get(CALLBACK, params=server.log_in(begun.json()["url"], "paul"))
    assert (linked.status_code, linked.json()["state"]) == (200, "done")
    async with platform.browser() as fresh:
        assert (await logged_in(fresh, server, "paul")).json()["user"]["id"] == user.id
        assert (await logged_in(fresh, server, "maria")).status_code == 403
    shown = (await browser.get("/api/v1/users/me/factors")).json()["identities"]
    assert [(one["provider_id"], one["email"]) for one in shown] == [(provider.id, "paul@example.org")]
    gone = await browser.delete(f"/api/v1/users/me/identities/{provider.id}", headers=headers)
    assert gone.status_code == 204
    assert (await logged_in(browser, server, "paul")).status_code == 403


async def test_a_second_factor_is_asked_for_unless_the_provider_is_trusted_with_it(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    provider = await connected(platform, server, client, OPEN)
    user_id = (await logged_in(browser, server, "maria")).json()["user"]["id"]
    await platform.installation.memberships.add(platform.acme.id, user_id, "admin", actor=SYSTEM)
    await platform.ways.rules.require_second_factor(platform.acme.id, ["admin"], actor=SYSTEM)
    async with platform.browser() as fresh:
        answer = await logged_in(fresh, server, "maria", query="?return_to=/")
        assert answer.headers["location"].startswith("/#continuation=")
        assert "state=enrolment" in answer.headers["location"]
        assert "bailiwick_session" not in fresh.cookies
        trusting = OPEN.model_copy(update={"trusts_second_factor": True})
        await platform.ways.providers.set_policy(INSTALLATION, provider.slug, trusting, actor=SYSTEM)
        assert (await logged_in(fresh, server, "maria")).json()["state"] == "done"


async def test_a_code_and_a_state_work_once(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    await connected(platform, server, client, OPEN)
    started = await browser.get(START)
    back = server.log_in(started.headers["location"], "maria")
    secret = browser.cookies["bailiwick_login"]
    assert (await browser.get(CALLBACK, params=back)).status_code == 200
    browser.cookies.set("bailiwick_login", secret, domain="localhost.local", path="/")
    replayed = await browser.get(CALLBACK, params=back)
    assert (replayed.status_code, "is over" in replayed.json()["detail"]) == (401, True)
    # The same code within a login of its own: the server refuses it, and its verifier would not fit.
    other = await browser.get(START)
    state = httpx.URL(other.headers["location"]).params["state"]
    stolen = await browser.get(CALLBACK, params={**back, "state": state})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "identity.unproven")


async def test_another_browser_cannot_finish_a_login(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    await connected(platform, server, client, OPEN)
    back = server.log_in((await browser.get(START)).headers["location"], "maria")
    async with platform.browser() as victim:
        answer = await victim.get(CALLBACK, params=back)
        assert (answer.status_code, "another browser" in answer.json()["detail"]) == (401, True)


async def test_whoever_does_not_consent_is_not_let_in(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    await connected(platform, server, client, OPEN)
    started = await browser.get(START)
    back = server.log_in(started.headers["location"], "dora", consents=False)
    answer = await browser.get(CALLBACK, params=back)
    assert (answer.status_code, "access_denied" in answer.json()["detail"]) == (401, True)


async def test_a_wrong_client_secret_is_the_administrators_to_mend(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    provider = await connected(platform, server, client, OPEN)
    await platform.ways.providers.set_secret(INSTALLATION, provider.slug, "wrong", actor=SYSTEM)
    answer = await logged_in(browser, server, "maria")
    assert (answer.status_code, answer.json()["code"]) == (503, "identity_provider.unavailable")
    assert "client id and secret" in answer.json()["detail"]


async def test_a_disabled_provider_lets_nobody_in(
    platform: Platform, browser: httpx.AsyncClient, server: IdentityServer, client: Client
) -> None:
    provider = await connected(platform, server, client, OPEN)
    back = server.log_in((await browser.get(START)).headers["location"], "maria")
    await platform.ways.providers.set_enabled(INSTALLATION, provider.slug, False, actor=SYSTEM)
    assert (await browser.get(CALLBACK, params=back)).status_code == 404
    assert (await browser.get(START)).status_code == 404
    assert (await browser.get("/api/v1/login/methods")).json() == {"providers": []}


async def test_the_way_out_leads_past_the_provider(platform: Platform, server: IdentityServer, client: Client) -> None:
    provider = await connected(platform, server, client, OPEN)
    url = await platform.ways.oidc.logout_url(provider)
    assert url is not None
    assert url.startswith(f"{server.issuer}/oauth/end_session?client_id={client.client_id}&post_logout")
