"""The steps of a login over the API, and what an attacker learns from it: nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pyotp.totp import TOTP

from bailiwick.audit import SYSTEM
from bailiwick.identity.login.logins import LoggedIn
from bailiwick.identity.people.accounts import User
from bailiwick.kernel.ids import INSTALLATION
from tests.integration.identity.login.conftest import PASSWORD, Platform
from tests.support.authenticator import Authenticator


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"authorization": f"Bearer {answer.json()['tokens']['access']}"}


async def with_totp(platform: Platform, user: User) -> tuple[TOTP, list[str]]:
    """Set an authenticator up by the code of a minute ago, so that the present one is fresh."""
    totp = platform.ways.totp
    authenticator = TOTP((await totp.enrol(user.id, user.email)).secret)
    before = datetime.now(UTC) - timedelta(minutes=1)
    return authenticator, await totp.confirm(user.id, authenticator.at(before), actor=SYSTEM, at=before)


async def test_a_password_alone_begins_a_session_where_there_is_nothing_else(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    user = await platform.person("maria", role="developer")
    answer = await platform.begun(browser, "maria")
    assert (answer.status_code, answer.json()["state"], answer.json()["user"]["id"]) == (200, "done", user.id)
    assert answer.headers["cache-control"] == "no-store"
    me = await browser.get("/api/v1/users/me", headers=bearer(answer))
    assert me.json()["email"] == "maria@example.org"
    assert "session.begun" in [action for action, _ in await platform.acts()]
    sessions = (await browser.get("/api/v1/sessions", headers=bearer(answer))).json()["items"]
    assert [one["methods"] for one in sessions] == [["pwd"]]


async def test_a_browser_gets_cookies_and_no_token(platform: Platform, browser: httpx.AsyncClient) -> None:
    await platform.person("maria")
    answer = await platform.begun(browser, "maria", session="browser")
    assert answer.json()["tokens"] is None
    assert {"bailiwick_session", "bailiwick_csrf"} == set(answer.cookies)
    assert (await browser.get("/api/v1/users/me")).status_code == 200
    assert (await browser.post("/api/v1/logout")).status_code == 403
    out = await browser.post("/api/v1/logout", headers={"x-csrf-token": answer.cookies["bailiwick_csrf"]})
    assert out.status_code == 204


async def test_an_unknown_address_and_a_wrong_password_look_alike(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    user = await platform.person("maria")
    await with_totp(platform, user)
    unknown = await platform.begun(browser, "nobody")
    wrong = await platform.begun(browser, "maria", password="wrong wrong wrong")
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.json() == wrong.json()
    assert {name for name in unknown.headers if not name.startswith("ratelimit")} == {
        name for name in wrong.headers if not name.startswith("ratelimit")
    }


async def test_five_failed_logins_raise_an_alarm_for_the_account_and_the_address(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    await platform.person("maria")
    for _ in range(5):
        assert (await platform.begun(browser, "maria", password="wrong")).status_code == 401
    alarms = await platform.installation.alarms.list(INSTALLATION)
    assert {alarm.subject for alarm in alarms.items} == {"account:maria@example.org", "address:127.0.0.1"}


async def test_five_wrong_confirmations_raise_the_alarm_of_failed_logins(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    with_code, with_password, with_change = [await platform.person(name) for name in ("maria", "nora", "paul")]
    signed_in = {user.id: bearer(await platform.begun(browser, user.name.lower()))
                 for user in (with_code, with_password, with_change)}  # fmt: skip
    await with_totp(platform, with_code)
    for user, path, body in (
        (with_code, "factors/recovery-codes", {"code": "000000"}),
        (with_password, "passkeys/options", {"password": "wrong wrong wrong"}),
        (with_change, "password", {"old_password": "wrong wrong wrong", "new_password": "crisp lantern hums tunes"}),
    ):
        for _ in range(5):
            answer = await browser.post(f"/api/v1/users/me/{path}", json=body, headers=signed_in[user.id])
            assert answer.status_code in (401, 403), answer.text
        alarms = await platform.installation.alarms.list(INSTALLATION)
        assert f"account:{user.email}" in {alarm.subject for alarm in alarms.items}


async def test_what_one_organizations_provider_is_trusted_with_does_not_do_for_another(platform: Platform) -> None:
    rival = await platform.installation.organizations.create("Rival")
    maria = await platform.person("maria", role="admin")
    await platform.installation.memberships.add(rival.id, maria.id, "owner", actor=SYSTEM)

    async def logged_in(trusted_by: str | None) -> bool:
        return isinstance(await platform.ways.logins.with_identity(maria, trusted_by=trusted_by), LoggedIn)

    await platform.ways.rules.require_second_factor(platform.acme.id, ["admin"], actor=SYSTEM)
    assert [await logged_in(one) for one in (INSTALLATION, platform.acme.id, rival.id, None)] == [
        True, True, False, False,
    ]  # fmt: skip
    await platform.ways.rules.require_second_factor(rival.id, ["owner"], actor=SYSTEM)
    assert [await logged_in(one) for one in (INSTALLATION, platform.acme.id, rival.id)] == [True, False, False]


async def test_a_second_factor_is_asked_for_and_a_continuation_works_once(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    authenticator, _ = await with_totp(platform, await platform.person("maria"))
    begun = (await platform.begun(browser, "maria")).json()
    assert (begun["state"], begun["factors"], begun["tokens"]) == ("second_factor", ["totp", "recovery_code"], None)
    body = {"continuation": begun["continuation"], "code": authenticator.now()}
    done = await browser.post("/api/v1/login/totp", json=body)
    assert (done.status_code, done.json()["state"]) == (200, "done")
    listed = (await browser.get("/api/v1/sessions", headers=bearer(done))).json()["items"]
    assert listed[0]["methods"] == ["pwd", "otp"]
    body["code"] = authenticator.at(datetime.now(UTC) + timedelta(seconds=30))
    again = await browser.post("/api/v1/login/totp", json=body)
    assert (again.status_code, again.json()["code"]) == (401, "unauthorized")


async def test_a_replayed_code_is_refused_in_another_login(platform: Platform, browser: httpx.AsyncClient) -> None:
    authenticator, _ = await with_totp(platform, await platform.person("maria"))
    code = authenticator.now()
    statuses: list[int] = []
    for _ in range(2):
        begun = (await platform.begun(browser, "maria")).json()
        answer = await browser.post("/api/v1/login/totp", json={"continuation": begun["continuation"], "code": code})
        statuses.append(answer.status_code)
    assert statuses == [200, 401]


async def test_a_continuation_takes_a_typing_error_but_not_six_of_them(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    authenticator, _ = await with_totp(platform, await platform.person("maria"))
    continuation = (await platform.begun(browser, "maria")).json()["continuation"]
    for _ in range(5):
        wrong = await browser.post("/api/v1/login/totp", json={"continuation": continuation, "code": "000000"})
        assert wrong.status_code == 401
    body = {"continuation": continuation, "code": authenticator.now()}
    assert (await browser.post("/api/v1/login/totp", json=body)).status_code == 401


async def test_a_continuation_lapses(platform: Platform, browser: httpx.AsyncClient) -> None:
    authenticator, _ = await with_totp(platform, await platform.person("maria"))
    continuation = (await platform.begun(browser, "maria")).json()["continuation"]
    await platform.installation.database.execute("update login_ceremonies set expires_at = now()")
    body = {"continuation": continuation, "code": authenticator.now()}
    assert (await browser.post("/api/v1/login/totp", json=body)).status_code == 401


async def test_a_recovery_code_stands_in_once(platform: Platform, browser: httpx.AsyncClient) -> None:
    _, codes = await with_totp(platform, await platform.person("maria"))
    statuses: list[int] = []
    for _ in range(2):
        continuation = (await platform.begun(browser, "maria")).json()["continuation"]
        body = {"continuation": continuation, "code": codes[0]}
        statuses.append((await browser.post("/api/v1/login/recovery-code", json=body)).status_code)
    assert statuses == [200, 401]


async def test_a_passkey_is_made_then_logs_in_alone_and_as_second_factor(
    platform: Platform, browser: httpx.AsyncClient, key: Authenticator
) -> None:
    await platform.person("maria")
    who = bearer(await platform.begun(browser, "maria"))
    begun = await browser.post("/api/v1/users/me/passkeys/options", json={"password": PASSWORD}, headers=who)
    made = await browser.post(
        "/api/v1/users/me/passkeys",
        json={
            "ceremony": begun.json()["ceremony"], "credential": key.create(begun.json()["options"]), "name": "laptop",
        },
        headers=who,
    )  # fmt: skip
    assert (made.status_code, made.json()["name"]) == (201, "laptop")

    options = (await browser.post("/api/v1/login/passkey/options", json={})).json()
    alone = await browser.post(
        "/api/v1/login/passkey", json={"ceremony": options["ceremony"], "credential": key.get(options["options"])}
    )
    assert (alone.status_code, alone.json()["user"]["email"]) == (200, "maria@example.org")

    first = (await platform.begun(browser, "maria")).json()
    assert first["factors"] == ["passkey"]
    go_on = {"continuation": first["continuation"]}
    options = (await browser.post("/api/v1/login/passkey/options", json=go_on)).json()
    second = await browser.post(
        "/api/v1/login/passkey",
        json={**go_on, "ceremony": options["ceremony"], "credential": key.get(options["options"])},
    )
    assert second.status_code == 200
    methods = [one["methods"] for one in (await browser.get("/api/v1/sessions", headers=who)).json()["items"]]
    assert methods == [["pwd", "hwk"], ["hwk"], ["pwd"]]


@pytest.mark.parametrize(
    "credential",
    [
        {}, {"rawId": 7}, {"rawId": "ü", "id": "ü"}, {"id": "AAAA", "rawId": "AAAA", "type": "public-key"},
        {"id": "A", "rawId": "A", "type": "public-key", "response": {"clientDataJSON": "A"}},
    ],
    ids=str,
)  # fmt: skip
async def test_rubbish_in_place_of_a_passkey_is_refused(
    platform: Platform, browser: httpx.AsyncClient, credential: dict[str, Any]
) -> None:
    options = (await browser.post("/api/v1/login/passkey/options", json={})).json()
    body = {"ceremony": options["ceremony"], "credential": credential}
    assert (await browser.post("/api/v1/login/passkey", json=body)).status_code == 401


async def test_an_organization_makes_its_owners_set_a_second_factor_up(
    platform: Platform, browser: httpx.AsyncClient
) -> None:
    await platform.person("maria", role="admin")
    await platform.person("paul", role="viewer")
    await platform.ways.rules.require_second_factor(platform.acme.id, ["owner", "admin"], actor=SYSTEM)
    assert (await platform.begun(browser, "paul")).json()["state"] == "done"
    begun = (await platform.begun(browser, "maria")).json()
    assert (begun["state"], begun["factors"], begun["tokens"]) == ("enrolment", [], None)
    go_on = {"continuation": begun["continuation"]}
    skipped = await browser.post("/api/v1/login/totp", json={**go_on, "code": "000000"})
    assert skipped.status_code == 409
    enrolment = (await browser.post("/api/v1/login/enrolment", json=go_on)).json()
    assert enrolment["qr_svg"].startswith("<svg")
    code = TOTP(enrolment["secret"]).now()
    done = await browser.post("/api/v1/login/enrolment/confirm", json={**go_on, "code": code})
    assert (done.json()["state"], len(done.json()["recovery_codes"])) == ("done", 10)
    assert (await platform.begun(browser, "maria")).json()["state"] == "second_factor"


async def test_a_disabled_account_is_not_let_in_by_any_way(
    platform: Platform, browser: httpx.AsyncClient, key: Authenticator
) -> None:
    user = await platform.person("maria")
    passkeys = platform.ways.passkeys
    begun = await passkeys.begin_registration(user.id, user.email, user.name)
    await passkeys.finish_registration(user.id, begun.ceremony, key.create(begun.options), "laptop", actor=SYSTEM)
    await platform.installation.accounts.disable(user.id, actor=SYSTEM)
    assert (await platform.begun(browser, "maria")).status_code == 403
    options = (await browser.post("/api/v1/login/passkey/options", json={})).json()
    body = {"ceremony": options["ceremony"], "credential": key.get(options["options"])}
    assert (await browser.post("/api/v1/login/passkey", json=body)).status_code == 403


async def test_what_changes_a_way_in_wants_a_fresh_proof(platform: Platform, browser: httpx.AsyncClient) -> None:
    await platform.person("maria")
    who = bearer(await platform.begun(browser, "maria"))
    me = "/api/v1/users/me"
    assert (await browser.get(f"{me}/factors", headers=who)).json()["confirmation"] == "password"
    bare = await browser.post(f"{me}/factors/totp", json={}, headers=who)
    assert (bare.status_code, bare.json()["code"]) == (403, "confirmation.needed")
    enrolment = (await browser.post(f"{me}/factors/totp", json={"password": PASSWORD}, headers=who)).json()
    authenticator = TOTP(enrolment["secret"])
    code = authenticator.at(datetime.now(UTC) - timedelta(seconds=30))
    codes = await browser.post(f"{me}/factors/totp/confirm", json={"code": code}, headers=who)
    assert len(codes.json()["recovery_codes"]) == 10
    shown = (await browser.get(f"{me}/factors", headers=who)).json()
    assert (shown["totp"], shown["recovery_codes_left"], shown["confirmation"]) == (True, 10, "factor")
    for body in ({"password": PASSWORD}, {}):
        assert (await browser.post(f"{me}/factors/totp/remove", json=body, headers=who)).status_code == 403
    wrong = await browser.post(f"{me}/factors/totp/remove", json={"code": "000000"}, headers=who)
    assert wrong.status_code == 401
    right = await browser.post(f"{me}/factors/totp/remove", json={"code": authenticator.now()}, headers=who)
    assert right.status_code == 204
    assert (await browser.get(f"{me}/factors", headers=who)).json()["totp"] is False


async def test_another_site_cannot_log_a_browser_in(platform: Platform, browser: httpx.AsyncClient) -> None:
    await platform.person("maria")
    browser.headers["sec-fetch-site"] = "cross-site"
    answer = await platform.begun(browser, "maria", session="browser")
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


async def test_no_factor_leaves_a_secret_in_the_audit_log(platform: Platform, browser: httpx.AsyncClient) -> None:
    authenticator, codes = await with_totp(platform, await platform.person("maria"))
    begun = (await platform.begun(browser, "maria")).json()
    await browser.post("/api/v1/login/totp", json={"continuation": begun["continuation"], "code": authenticator.now()})
    page = await platform.installation.audit.list(INSTALLATION, limit=500)
    text = str(page.items)
    for secret in (authenticator.secret, *codes, begun["continuation"], PASSWORD):
        assert secret not in text
