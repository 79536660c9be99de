"""A provider, or somebody between it and us, that lies: nobody is let in by any of it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.oidc import (
    PRESETS,
    GroupRole,
    IdentityProvider,
    NewIdentityProvider,
    ProviderPolicy,
)
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.identity.login.conftest import Platform
from tests.support.crooked_provider import OTHER_KEY, CrookedProvider, running_crooked_provider

OPEN = ProviderPolicy(creates_accounts=True)
START, CALLBACK = "/api/v1/login/oidc/crooked/start", "/api/v1/login/oidc/crooked/callback"


@pytest.fixture
def crooked() -> Iterator[CrookedProvider]:
    with running_crooked_provider() as provider:
        yield provider


async def connected(
    platform: Platform, crooked: CrookedProvider, policy: ProviderPolicy = OPEN, **changed: Any
) -> IdentityProvider:
    fields: dict[str, Any] = {"slug": "crooked", "name": "Crooked", "client_secret": "a secret", **changed}
    new = NewIdentityProvider(issuer=crooked.issuer, client_id="client", policy=policy, **fields)
    return await platform.ways.providers.add(INSTALLATION, new, actor=SYSTEM)


async def logged_in(browser: httpx.AsyncClient, crooked: CrookedProvider, **changed: str) -> httpx.Response:
    started = await browser.get(START)
    assert started.status_code == 303, started.text
    return await browser.get(CALLBACK, params=crooked.visit(started.headers["location"], **changed))


async def test_an_honest_answer_lets_somebody_in(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    answer = await logged_in(browser, crooked, session_state="parameters of its own are ignored")
    assert answer.json()["user"]["email"] == "maria@example.org"
    path, form, authorization = next(one for one in crooked.asked if one[0] == "/token")
    assert (path, form["grant_type"], form["code"]) == ("/token", "authorization_code", "c-1")
    assert 43 <= len(form["code_verifier"]) <= 128
    assert authorization is not None
    assert "client_secret" not in form


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "nonce": lambda claims: claims.update(nonce="of another login"),
    "no nonce": lambda claims: claims.pop("nonce"),
    "issuer": lambda claims: claims.update(iss="https://other.example"),
    "audience": lambda claims: claims.update(aud="another client"),
    "further audience": lambda claims: claims.update(aud=["client", "another"]),
    "presenter": lambda claims: claims.update(azp="another"),
    "expired": lambda claims: claims.update(exp=int(time.time()) - 61),
    "no end": lambda claims: claims.pop("exp"),
    "no beginning": lambda claims: claims.pop("iat"),
    "from the future": lambda claims: claims.update(iat=int(time.time()) + 120),
    "true as a time": lambda claims: claims.update(exp=True),
    "access token of another": lambda claims: claims.update(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no subject": lambda claims: claims.pop("sub"),
    "long subject": lambda claims: claims.update(sub="x" * 256),
    "subject of a number": lambda claims: claims.update(sub=7),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_in_the_id_token_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider, lie: str
) -> None:
    await connected(platform, crooked)
    crooked.bend_claims = LIES[lie]
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, answer.json()["code"]) == (401, "identity.unproven")
    assert await platform.installation.accounts.find_by_email("maria@example.org") is None
    assert ("login.failed", "identity provider crooked: identity.unproven") in await platform.acts()


async def test_an_unsigned_token_is_refused_although_the_provider_claims_to_use_none(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    crooked.is_unsigned = True
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, "'none'" in answer.json()["detail"]) == (401, True)


async def test_a_token_signed_with_what_everybody_knows_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    crooked.is_signed_with_the_public_key = True
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, "'HS256'" in answer.json()["detail"]) == (401, True)


async def test_a_token_signed_by_another_key_of_the_same_id_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    crooked.signing_key = OTHER_KEY
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, "no key" in answer.json()["detail"]) == (401, True)


@pytest.mark.parametrize("token", ["", "a.b.c", "a.b", "e30.e30.", 7, None, "x" * 5000])
async def test_what_is_no_token_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider, token: object
) -> None:
    await connected(platform, crooked)
    crooked.bend_tokens = lambda tokens: tokens.update(id_token=token)
    assert (await logged_in(browser, crooked)).status_code == 401


async def test_keys_are_read_again_for_a_new_one_and_otherwise_kept(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connected(platform, crooked)
    for _ in range(2):
        assert (await logged_in(browser, crooked)).status_code == 200
    assert (crooked.times_asked("/jwks"), crooked.times_asked("/.well-known/openid-configuration")) == (1, 1)
    crooked.signing_key, crooked.header = OTHER_KEY, {"alg": "RS256", "kid": "second"}
    fresh = type(OTHER_KEY).import_key(OTHER_KEY.as_dict(private=False) | {"kid": "second"})
    crooked.published = [fresh]
    # However many tokens with unknown keys arrive, the provider is not asked at each.
    assert (await logged_in(browser, crooked)).status_code == 401
    assert crooked.times_asked("/jwks") == 1
    monkeypatch.setattr("bailiwick.identity.oidc.discovery.REFRESH_SECONDS", 0.0)
    assert (await logged_in(browser, crooked)).status_code == 200
    assert crooked.times_asked("/jwks") == 2


async def test_a_wrong_or_missing_state_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    for state in ("wrong", ""):
        assert (await logged_in(browser, crooked, state=state)).status_code == 401
    assert (await browser.get(CALLBACK)).status_code == 401
    assert crooked.times_asked("/token") == 0


async def test_an_answer_of_another_provider_is_refused(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    other = await connected(platform, crooked, slug="other")
    mixed = await logged_in(browser, crooked, iss="https://honest.example")
    assert (mixed.status_code, "another identity provider" in mixed.json()["detail"]) == (401, True)
    started = await browser.get(START)
    answer = await browser.get(
        f"/api/v1/login/oidc/{other.id}/callback", params=crooked.visit(started.headers["location"])
    )
    assert (answer.status_code, "another identity provider" in answer.json()["detail"]) == (401, True)
    assert crooked.times_asked("/token") == 0


async def test_a_provider_that_promises_to_name_itself_must(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    crooked.bend_metadata = lambda said: said.update(authorization_response_iss_parameter_supported=True)
    await connected(platform, crooked)
    assert (await logged_in(browser, crooked)).status_code == 401
    assert (await logged_in(browser, crooked, iss=crooked.issuer)).status_code == 200


DISCOVERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "of another": lambda said: said.update(issuer="https://honest.example"),
    "without an endpoint": lambda said: said.pop("token_endpoint"),
    "in the open": lambda said: said.update(jwks_uri="ftp://honest.example/keys"),
    "with a number": lambda said: said.update(authorization_endpoint=7),
    "moved elsewhere": lambda said: said.update(_status=307),
    "broken": lambda said: said.update(_status=500),
}


@pytest.mark.parametrize("kind", DISCOVERIES)
async def test_a_discovery_document_that_does_not_fit_begins_no_login(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider, kind: str
) -> None:
    crooked.bend_metadata = DISCOVERIES[kind]
    await connected(platform, crooked)
    answer = await browser.get(START)
    assert (answer.status_code, answer.json()["code"]) == (503, "identity_provider.unavailable")


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False}, {"email_verified": None}, {"email_verified": "false"}, {"email_verified": 1.5},
        {"email": None}, {"email": 7}, {"email": "maria"}, {"email": "mária@example.org"},
        {"email": "maria@elsewhere.example"},
    ],
    ids=str,
)  # fmt: skip
async def test_an_address_that_is_not_vouched_for_makes_no_account(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider, claims: dict[str, Any]
) -> None:
    await connected(platform, crooked, OPEN.model_copy(update={"email_domains": ["example.org"]}))
    crooked.claims |= claims
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, answer.json()["code"]) == (403, "identity.refused")


async def test_by_default_a_provider_lets_nobody_in(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked, ProviderPolicy())
    assert (await logged_in(browser, crooked)).status_code == 403


async def test_what_the_token_leaves_out_comes_from_userinfo_of_the_same_subject_only(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked)
    crooked.claims = {"sub": "s-1"}
    crooked.userinfo = {"sub": "s-2", "email": "boss@example.org", "email_verified": True}
    assert (await logged_in(browser, crooked)).status_code == 403
    crooked.userinfo = {"sub": "s-1", "email": "maria@example.org", "email_verified": True}
    assert (await logged_in(browser, crooked)).json()["user"]["email"] == "maria@example.org"


async def test_an_address_that_changes_hands_at_the_provider_does_not_change_accounts(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await connected(platform, crooked, OPEN.model_copy(update={"links_by_email": True}))
    first = (await logged_in(browser, crooked)).json()["user"]["id"]
    crooked.claims["sub"] = "s-2"
    assert (await logged_in(browser, crooked)).status_code == 403
    crooked.claims |= {"sub": "s-1", "email": "olga@example.org"}
    assert (await logged_in(browser, crooked)).json()["user"]["id"] == first


async def test_an_organizations_own_provider_reaches_nobody_else(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    ways = platform.ways
    rival = await platform.installation.organizations.create("Rival")
    new = NewIdentityProvider("own", "Own", crooked.issuer, "client")

    async def add(policy: ProviderPolicy) -> IdentityProvider:
        offered = NewIdentityProvider(new.slug, new.name, new.issuer, new.client_id, policy=policy)
        return await ways.providers.add(rival.id, offered, actor=SYSTEM)

    foreign = GroupRole(group="all", organization="acme", role="owner")
    for policy in (OPEN, ProviderPolicy(links_by_email=True), ProviderPolicy(group_roles=[foreign])):
        with pytest.raises(InvalidInputError):
            await add(policy)
    nowhere = ProviderPolicy(group_roles=[foreign.model_copy(update={"organization": "nowhere"})])
    with pytest.raises(NotFoundError):
        await add(nowhere)

    admin = await platform.person("ada", verified=True)
    await platform.installation.accounts.set_admin(admin.id, True, actor=SYSTEM)
    own = await add(ProviderPolicy(links_by_email=True, email_domains=["example.org"]))
    crooked.claims["email"] = "ada@example.org"
    started = await browser.get(f"/api/v1/login/oidc/{own.id}/start")
    back = crooked.visit(started.headers["location"])
    answer = await browser.get(f"/api/v1/login/oidc/{own.id}/callback", params=back)
    assert (answer.status_code, "administrator" in answer.json()["detail"]) == (403, True)
    assert (await browser.get("/api/v1/login/oidc/own/start")).status_code == 404
    shown = (await browser.get("/api/v1/login/methods", params={"at": "rival"})).json()["providers"]
    assert [one["id"] for one in shown] == [own.id]
    assert (await browser.get("/api/v1/login/methods")).json()["providers"] == []
    with pytest.raises(NotFoundError):
        await ways.providers.get(platform.acme.id, own.id)
    with pytest.raises(ConflictError):
        await add(ProviderPolicy())


async def test_the_first_owner_of_an_organization_does_not_come_by_a_lesser_group(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    await platform.installation.organizations.create("Empty")
    grants = [GroupRole(group="all", organization="empty", role="viewer")]
    await connected(platform, crooked, OPEN.model_copy(update={"group_roles": grants}))
    crooked.claims["groups"] = ["all"]
    answer = await logged_in(browser, crooked)
    assert (answer.status_code, "owner" in answer.json()["detail"]) == (403, True)


@pytest.mark.parametrize(
    "issuer", ["http://idp.example.org", "ftp://idp.example.org", "idp", "https://idp.example.org?x=1", "https://"]
)
async def test_an_issuer_is_an_https_address(platform: Platform, issuer: str) -> None:
    with pytest.raises(InvalidInputError, match="https"):
        await platform.ways.providers.add(INSTALLATION, NewIdentityProvider("x", "X", issuer, "c"), actor=SYSTEM)


async def test_a_client_secret_is_stored_sealed_and_never_shown(platform: Platform, crooked: CrookedProvider) -> None:
    provider = await connected(platform, crooked)
    assert await platform.ways.providers.client_secret(provider) == "a secret"
    rows = await platform.installation.database.fetch_all(
        "select sealed_client_secret from identity_providers", organization_id=INSTALLATION
    )
    assert b"a secret" not in rows[0]["sealed_client_secret"]
    assert "a secret" not in repr(provider)
    entries = await platform.installation.audit.list(INSTALLATION, limit=500)
    assert "a secret" not in str(entries.items)


async def test_github_says_who_somebody_is_by_its_api(
    platform: Platform, browser: httpx.AsyncClient, crooked: CrookedProvider
) -> None:
    preset = PRESETS["github"]
    grants = [GroupRole(group="acme/ops", organization="acme", role="operator")]
    policy = OPEN.model_copy(update={"group_roles": grants})
    await connected(platform, crooked, policy, protocol="github", scopes=preset.scopes)
    crooked.github = {
        "/api/v3/user": {"id": 42, "login": "maria", "name": "Maria"},
        "/api/v3/user/emails": [
            {"email": "old@example.org", "primary": False, "verified": True},
            {"email": "maria@example.org", "primary": True, "verified": True},
        ],
        "/api/v3/user/orgs": [{"login": "acme"}],
        "/api/v3/user/teams": [{"slug": "ops", "organization": {"login": "acme"}}],
    }
    user = (await logged_in(browser, crooked)).json()["user"]
    assert (user["email"], user["name"]) == ("maria@example.org", "Maria")
    assert await platform.installation.memberships.find(platform.acme.id, user["id"]) == "operator"
    # The number is who it is: a login name can be given up and taken by somebody else.
    crooked.github["/api/v3/user"] = {"id": 43, "login": "maria", "name": "Maria"}
    assert (await logged_in(browser, crooked)).status_code == 403
    crooked.github["/api/v3/user/emails"][1]["verified"] = False
    refused = await logged_in(browser, crooked)
    assert (refused.status_code, "vouches for no email" in refused.json()["detail"]) == (403, True)
