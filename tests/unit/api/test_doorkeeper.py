"""What the doorkeeper lets in, and what it makes of what breaks."""

import json
from typing import Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bailiwick.api.authentication import Authentication
from bailiwick.api.client_address import TrustedProxies
from bailiwick.api.doorkeeper import MAX_BODY_BYTES, MAX_DEPTH, Doorkeeper
from bailiwick.api.rate_limiting import RateLimiting
from bailiwick.identity import Caller, Keys, Sessions
from bailiwick.identity.quotas import Metering, RateLimiter
from bailiwick.kernel.errors import CannotDetermineError, DatabaseUnavailableError, UnauthorizedError


class OneKey:
    async def authenticate(self, key: str) -> Caller:
        if key != "bw_right":
            raise UnauthorizedError("a key is needed")
        return Caller("key", "1", "test", is_admin=True)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    path = scope["path"]
    if path == "/defect":
        raise ZeroDivisionError("the secret 4711")
    if path == "/down":
        raise DatabaseUnavailableError("PostgreSQL does not answer")
    if path == "/lacking":
        raise CannotDetermineError("the meter's unit")
    response: Response = JSONResponse({"bytes": len(body)})
    await response(scope, receive, send)


def client(key: str = "bw_right") -> httpx.AsyncClient:
    unlimited = RateLimiting(cast("RateLimiter", None), cast("Metering", None), address_rate=0, login_rate=0)
    authentication = Authentication(cast("Keys", OneKey()), cast("Sessions", None), TrustedProxies())
    guarded = Doorkeeper(echo, authentication, unlimited)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(guarded), base_url="http://api", headers={"authorization": f"Bearer {key}"}
    )


async def ask(method: str, path: str, *, key: str = "bw_right", **more: Any) -> httpx.Response:
    async with client(key) as asking:
        return await asking.request(method, path, **more)


def as_json(text: str) -> dict[str, Any]:
    return {"content": text.encode("utf-8", "surrogatepass"), "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize("path", ["/", "/api/v1/tasks", "/metrics", "/nowhere", "/healthz/", "/HEALTHZ", "//healthz"])
async def test_without_a_key_nothing_answers(path: str) -> None:
    refused = await ask("GET", path, key="bw_wrong")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/webhooks/github/7"])
async def test_health_and_signed_deliveries_need_none(path: str) -> None:
    assert (await ask("GET", path, key="bw_wrong")).status_code == 200


async def test_a_bad_body_without_a_key_is_refused_for_the_key() -> None:
    assert (await ask("POST", "/api/v1/tasks", key="bw_wrong", **as_json("{"))).status_code == 401


async def test_every_answer_carries_the_security_headers() -> None:
    for path in ("/healthz", "/api/v1/tasks", "/defect"):
        headers = (await ask("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    assert (await ask("POST", "/x", content=b"x" * MAX_BODY_BYTES)).json() == {"bytes": MAX_BODY_BYTES}
    refused = await ask("POST", "/x", content=b"x" * (MAX_BODY_BYTES + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "payload.too_large")


async def test_a_body_of_unknown_length_is_bounded_too() -> None:
    async def endless() -> Any:
        for _ in range(MAX_BODY_BYTES // 1000 + 2):
            yield b"x" * 1000

    assert (await ask("POST", "/x", content=endless())).status_code == 413


@pytest.mark.parametrize(
    "text",
    ["{", "NaN", "[Infinity]", '"\ud800"', '{"a": "\\ud800"}', '"\\u0000"', '{"a\\u0000": 1}', "[1,]", "\xff"],
)
async def test_what_cannot_be_kept_is_refused(text: str) -> None:
    refused = await ask("POST", "/x", **as_json(text))
    assert (refused.status_code, refused.json()["code"]) == (422, "payload.invalid")


async def test_nesting_is_bounded() -> None:
    assert (await ask("POST", "/x", **as_json("[" * MAX_DEPTH + "]" * MAX_DEPTH))).status_code == 200
    for depth in (MAX_DEPTH + 1, 100_000):
        assert (await ask("POST", "/x", **as_json('{"a":' * depth + "1" + "}" * depth))).status_code == 422


async def test_the_text_of_an_escaped_nul_is_harmless() -> None:
    assert (await ask("POST", "/x", **as_json('"\\\\u0000"'))).status_code == 200


@pytest.mark.parametrize("address", ["/x%00y", "/x?key=a%00b"])
async def test_nul_in_an_address_is_refused(address: str) -> None:
    assert (await ask("GET", address)).status_code == 422


async def test_a_defect_shows_an_id_and_nothing_else() -> None:
    answer = await ask("GET", "/defect")
    assert answer.status_code == 500
    document = answer.json()
    assert document["id"] in document["detail"]
    assert "4711" not in answer.text
    assert "Zero" not in answer.text


async def test_errors_of_ours_keep_their_words() -> None:
    down = await ask("GET", "/down")
    assert (down.status_code, down.json()["retryable"], down.headers["retry-after"]) == (503, True, "1")
    lacking = await ask("GET", "/lacking")
    assert (lacking.status_code, lacking.json()["missing"]) == (422, "the meter's unit")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5).filter(
        lambda key: "\0" not in key), inner, max_size=4),
)  # fmt: skip


@given(json_values)
async def test_any_sound_document_passes(document: object) -> None:
    text = json.dumps(document)
    assert (await ask("POST", "/x", **as_json(text))).status_code == 200
