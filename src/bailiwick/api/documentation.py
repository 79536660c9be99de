"""The OpenAPI document: what FastAPI derives, completed with what holds for every operation."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from bailiwick.api.access import needed
from bailiwick.api.cookies import CSRF_HEADER
from bailiwick.api.doorkeeper import MAX_BODY_BYTES, is_open
from bailiwick.api.problems import MEDIA_TYPE, FieldFault, Problem
from bailiwick.api.rate_limiting import FREE_PATHS

_DESCRIPTION = f"""
Events come in, tasks follow from them, agents do them; this is the door for programs.

* **Who calls.** Programs send `Authorization: Bearer ...` with a key (`bw_...`) or the access token of a login, which
  `POST /api/v1/token/refresh` renews. Browsers send the session cookie and, with everything that changes something,
  the value of the csrf cookie in `X-CSRF-Token`; where there is an `Authorization` header, cookies are ignored. What
  was revoked stops working within about a second.
* **Permissions.** Each operation says in `x-permission` what it needs in the organization asked about; `self` is
  anybody who is known, `installation` an administrator of the installation. Who lacks it is refused with its name.
* **Organizations.** A key of an organization sees that one only. Who belongs to several, and an administrator, names
  one with `?organization=slug`; an administrator without it means the home organization. What belongs to others looks
  like what does not exist.
* **Pages.** A listing answers `{{"items": [...], "next_cursor": ...}}`, newest first. Give `next_cursor` back as
  `cursor` for what follows, until it is null. What is added meanwhile neither repeats nor hides anything.
* **Errors** are problem documents (RFC 9457, `{MEDIA_TYPE}`): `code` is stable, `detail` says what to do next,
  `retryable` whether the same request may succeed later.
* **Rates.** Every key, user, organization and address may ask so often; `RateLimit-Policy` and `RateLimit` say how
  much is left, a 429 with `Retry-After` when to ask again. A quota that is used up is a 403 with `quota.exceeded`.
* **Times** are UTC, ISO 8601; durations name their unit. A body is JSON, at most {MAX_BODY_BYTES // 1024} KiB.
"""
_ALWAYS = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
_SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "bearerFormat": "bw_...", "description": "A key of this platform."},
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A login's access token."},
    "session": {
        "type": "apiKey", "in": "cookie", "name": "__Host-bailiwick_session",
        "description": "A browser's session; over plain HTTP on the machine itself without the prefix.",
    },
    "csrf": {
        "type": "apiKey", "in": "header", "name": CSRF_HEADER,
        "description": "With a session cookie: the value of the csrf cookie.",
    },
}  # fmt: skip
_READ: list[dict[str, Any]] = [{"key": []}, {"token": []}, {"session": []}]
_CHANGE: list[dict[str, Any]] = [{"key": []}, {"token": []}, {"session": [], "csrf": []}]
_METHODS = frozenset({"get", "put", "post", "delete", "patch"})


def install(app: FastAPI) -> None:
    """Let an app describe itself completely."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary="Agents that run an organization's operations",
                    description=_DESCRIPTION,
                    routes=app.routes,
                )
            )
            _declare_permissions(app, app.openapi_schema)
        return app.openapi_schema

    app.openapi = describe


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, FieldFault):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        # FastAPI's own shape, which no answer of ours has.
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(path, method, operation)
    return document


def _declare_permissions(app: FastAPI, document: dict[str, Any]) -> None:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in context.methods or ():
                operation = document["paths"].get(context.path_format, {}).get(method.lower())
                if operation is not None:
                    operation["x-permission"] = needed(route.dependant)


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    is_for_all = is_open(path)
    operation["security"] = [] if is_for_all else _READ if method == "get" else _CHANGE
    responses = operation["responses"]
    responses.pop("422", None)
    statuses: list[HTTPStatus] = [*_ALWAYS]
    if path not in FREE_PATHS:
        statuses.append(HTTPStatus.TOO_MANY_REQUESTS)
    if not is_for_all:
        statuses += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    elif method != "get":
        # From a browser on behalf of another site.
        statuses.append(HTTPStatus.FORBIDDEN)
    if "requestBody" in operation:
        statuses += [HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_REQUEST]
    for status in statuses:
        responses.setdefault(str(int(status)), _problem_response(status))
    for code, response in responses.items():
        content = response.get("content", {})
        if int(code) >= HTTPStatus.BAD_REQUEST and MEDIA_TYPE in content:
            # FastAPI adds its own media type beside the one that is sent.
            response["content"] = {MEDIA_TYPE: content[MEDIA_TYPE]}


def _problem_response(status: HTTPStatus) -> dict[str, Any]:
    return {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
