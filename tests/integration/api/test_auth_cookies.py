"""A browser's session: its cookies, and why another site cannot use them."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from bailiwick.api.client_address import TrustedProxies
from bailiwick.api.cookies import give_session, take_session
from bailiwick.identity import BrowserSession
from bailiwick.kernel.errors import ForbiddenError
from tests.integration.api.conftest import Premises

TASKS = "/api/v1/tasks"
NEW_TASK = {"kind": "note.keep"}


@pytest.fixture
async def browser(premises: Premises) -> Any:
    """A browser in which an operator of Acme is logged in."""
    async with await premises.log_in_browser(await premises.user("maria", acme="operator")) as client:
        yield client


async def session_of(premises: Premises) -> BrowserSession:
    user = await premises.user("cookie")
    return await premises.installation.sessions.begin_in_browser(
        user.id, methods=["pwd"], address=None, user_agent=None
    )


def scope_of(scheme: str, client: str) -> dict[str, Any]:
    return {"type": "http", "scheme": scheme, "client": (client, 1), "headers": []}


def cookies_of(response: Response) -> SimpleCookie:
    found: SimpleCookie = SimpleCookie()
    for value in response.headers.getlist("set-cookie"):
        found.load(value)
    return found


async def test_over_https_the_cookies_are_bound_to_the_host(premises: Premises) -> None:
    session = await session_of(premises)
    response = Response()
    give_session(response, scope_of("https", "203.0.113.7"), session, TrustedProxies())
    cookies = cookies_of(response)
    assert set(cookies) == {"__Host-bailiwick_session", "__Host-bailiwick_csrf"}
    for cookie in cookies.values():
        assert cookie["secure"]
        assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/", "lax", "")
    assert cookies["__Host-bailiwick_session"]["httponly"]
    assert not cookies["__Host-bailiwick_csrf"]["httponly"]
    taken = Response()
    take_session(taken, scope_of("https", "203.0.113.7"), TrustedProxies())
    assert {cookie["max-age"] for cookie in cookies_of(taken).values()} == {"0"}


async def test_without_https_a_session_never_leaves_the_machine(premises: Premises) -> None:
    session = await session_of(premises)
    response = Response()
    give_session(response, scope_of("http", "127.0.0.1"), session, TrustedProxies())
    assert set(cookies_of(response)) == {"bailiwick_session", "bailiwick_csrf"}
    with pytest.raises(ForbiddenError, match="https"):
        give_session(Response(), scope_of("http", "203.0.113.7"), session, TrustedProxies())


async def test_a_browser_reads_by_its_cookie_and_changes_with_the_csrf_token(browser: httpx.AsyncClient) -> None:
    assert (await browser.get(TASKS)).status_code == 200
    assert (await browser.post(TASKS, json=NEW_TASK)).status_code == 201


@pytest.mark.parametrize("token", [None, b"", b"0" * 64, b"\xe9", b"\xff\xfe"])
async def test_without_the_csrf_token_nothing_is_changed(browser: httpx.AsyncClient, token: bytes | None) -> None:
    del browser.headers["x-csrf-token"]
    if token is not None:
        browser.headers = httpx.Headers([*browser.headers.raw, (b"x-csrf-token", token)])
    assert (await browser.get(TASKS)).status_code == 200
    for request in (
        browser.post(TASKS, json=NEW_TASK), browser.put("/api/v1/schedules/x", json={}), browser.delete(TASKS),
        browser.patch("/api/v1/users/me", json={}),
    ):  # fmt: skip
        answer = await request
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


async def test_the_csrf_token_of_another_session_does_not_count(premises: Premises, browser: httpx.AsyncClient) -> None:
    other = await session_of(premises)
    browser.headers["x-csrf-token"] = other.csrf
    # Not even if the attacker could set the readable cookie.
    browser.cookies.set("bailiwick_csrf", other.csrf)
    assert (await browser.post(TASKS, json=NEW_TASK)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "garbage"},
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://api.evil.example"},
        {"origin": "http://api:81"}, {"origin": "http://["}, {"origin": ""},
        {"origin": "http://api", "sec-fetch-site": "cross-site"},
    ],
)  # fmt: skip
async def test_another_site_changes_nothing_even_with_the_token(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await browser.post(TASKS, json=NEW_TASK, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://api"}, {"sec-fetch-site": "same-origin", "origin": "http://api"}]
)
async def test_our_own_pages_may(browser: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await browser.post(TASKS, json=NEW_TASK, headers=headers)).status_code == 201


async def test_with_a_bearer_cookies_are_ignored(premises: Premises, browser: httpx.AsyncClient) -> None:
    del browser.headers["x-csrf-token"]
    good = {"authorization": f"Bearer {premises.acme_key}"}
    assert (await browser.post(TASKS, json=NEW_TASK, headers=good)).status_code == 201
    for bad in ("Bearer bw_wrong", "Basic YTpi", ""):
        assert (await browser.get(TASKS, headers={"authorization": bad})).status_code == 401


async def test_another_site_cannot_log_a_browser_in_or_renew_a_token(premises: Premises) -> None:
    async with premises.client() as client:
        for path in ("/api/v1/token/refresh", "/api/v1/login"):
            answer = await client.post(path, json={}, headers={"sec-fetch-site": "cross-site"})
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


async def test_logging_out_empties_the_browser(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/api/v1/logout")
    assert answer.status_code == 204
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert all("Max-Age=0" in value for value in answer.headers.get_list("set-cookie"))
    assert (await browser.get(TASKS)).status_code == 401


@pytest.mark.parametrize("cookie", ["", "bws_", "bws_wrong", "x" * 5000, '"', "bw_key"])
async def test_unknown_cookies_open_nothing(premises: Premises, cookie: str) -> None:
    async with premises.client() as client:
        answer = await client.get(TASKS, headers={"cookie": f"bailiwick_session={cookie}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_api_key_in_the_cookie_opens_nothing(premises: Premises) -> None:
    async with premises.client() as client:
        client.cookies.set("bailiwick_session", premises.acme_key)
        assert (await client.get(TASKS)).status_code == 401
