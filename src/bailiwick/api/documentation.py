"""The OpenAPI document: what FastAPI derives, completed with what holds for every operation."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bailiwick.api.doorkeeper import MAX_BODY_BYTES, OPEN_PATHS, OPEN_PREFIXES
from bailiwick.api.problems import MEDIA_TYPE, FieldFault, Problem

_DESCRIPTION = f"""
Events come in, tasks follow from them, agents do them; this is the door for programs.

* **Keys.** Send `Authorization: Bearer bw_...` with everything but `/healthz` and `/readyz`. An organization's key
  sees that organization only. An administrator's key names one with `?organization=slug`; without it the home
  organization is meant. A revoked key stops working within about a second.
* **Pages.** A listing answers `{{"items": [...], "next_cursor": ...}}`, newest first. Give `next_cursor` back as
  `cursor` for what follows, until it is null. What is added meanwhile neither repeats nor hides anything.
* **Errors** are problem documents (RFC 9457, `{MEDIA_TYPE}`): `code` is stable, `detail` says what to do next,
  `retryable` whether the same request may succeed later.
* **Times** are UTC, ISO 8601; durations name their unit. A body is JSON, at most {MAX_BODY_BYTES // 1024} KiB.
"""
_ALWAYS = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
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
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "bw_...", "description": "A key of this platform."}
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(path, operation)
    return document


def _complete(path: str, operation: dict[str, Any]) -> None:
    is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
    operation["security"] = [] if is_open else [{"key": []}]
    responses = operation["responses"]
    responses.pop("422", None)
    statuses: list[HTTPStatus] = [*_ALWAYS]
    if path not in OPEN_PATHS:
        statuses.append(HTTPStatus.UNAUTHORIZED)
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
