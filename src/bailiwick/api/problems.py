"""Errors as RFC 9457 problem documents: one shape for every refusal, and never a stack trace."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError, CannotDetermineError, RateLimitedError
from bailiwick.kernel.ids import new_id
from bailiwick.telemetry.redacting import redacted

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_MAX_FIELDS = 20


class FieldFault(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(description="Where: `body.payload.number`, `query.limit`.", examples=["query.limit"])
    message: str = Field(description="What is wrong there.", examples=["Input should be less than or equal to 500"])


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="A stable URN of the kind of problem.", examples=["urn:bailiwick:error:not_found"])
    title: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What happened and what to do next; safe to show.", examples=["no task 42 in this organization"]
    )
    code: str = Field(description="A stable code for programs, the end of `type`.", examples=["not_found"])
    retryable: bool = Field(description="Whether the same request may succeed later.", examples=[False])
    errors: list[FieldFault] | None = Field(default=None, description="The parts of the request that are wrong.")
    missing: str | None = Field(default=None, description="The input an operation lacks (code `cannot_determine`).")
    id: str | None = Field(default=None, description="Where the log tells more (status 500 only).")


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    errors: Sequence[dict[str, str]] | None = None,
    missing: str | None = None,
    identifier: str | None = None,
) -> Response:
    """Return a problem document as a response."""
    document: dict[str, Any] = {
        "type": f"urn:bailiwick:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": redacted(detail),
        "code": code,
        "retryable": retryable,
    }
    optional = {"errors": errors, "missing": missing, "id": identifier}
    document |= {name: value for name, value in optional.items() if value is not None}
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750: with an error only where a token was sent.
        headers["www-authenticate"] = 'Bearer error="invalid_token"' if code.startswith("token.") else "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return Response(encode(document, what="problem"), status, headers, MEDIA_TYPE)


def problem_of(error: BailiwickError) -> Response:
    """Return the problem document of an error of ours; a broken promise is logged under its id."""
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR and not error.retryable:
        return unexpected(error)
    response = problem(
        error.http_status,
        error.code,
        str(error),
        retryable=error.retryable,
        missing=error.missing if isinstance(error, CannotDetermineError) else None,
    )
    if isinstance(error, RateLimitedError):
        response.headers["retry-after"] = str(math.ceil(error.retry_after_seconds))
    return response


def unexpected(error: BaseException) -> Response:
    """Log a defect and return a document that says nothing but where the log tells more."""
    identifier = new_id()
    log.error("request failed", error_id=identifier, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        f"something is wrong on our side; the log tells more under {identifier}",
        identifier=identifier,
    )


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem document."""
    app.add_exception_handler(BailiwickError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(psycopg.DataError, _on_data)


async def _on_ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, BailiwickError)
    return problem_of(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "message": redacted(str(fault["msg"]))}
        for fault in error.errors()[:_MAX_FIELDS]
    ]
    summary = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "input.invalid", f"invalid request: {summary}", errors=faults)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"nothing is at {request.url.path}; GET /api/v1/openapi.json lists what there is"
        return problem(HTTPStatus.NOT_FOUND, "not_found", detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response = problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method_not_allowed",
            f"{request.method} is not possible at {request.url.path}",
        )
        response.headers.update(error.headers or {})
        return response
    return problem(error.status_code, "input.invalid", str(error.detail))


async def _on_data(_: Request, error: Exception) -> Response:
    # A value that passed every check of ours and that PostgreSQL still cannot hold.
    log.warning("refused by the database", error=str(error))
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "input.invalid", "a value is beyond what the database can hold")
