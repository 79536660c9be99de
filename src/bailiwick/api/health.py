"""Health: whether the process lives, and whether it can do its work."""

import asyncio
import time
from typing import Literal

import psycopg
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from bailiwick.api.access import Platform
from bailiwick.installation import Installation
from bailiwick.kernel.errors import BailiwickError

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 3.0
# Nobody needs a key here, so asking often must not cost the database.
_MEMORY_SECONDS = 1.0
_LOOK = """
select to_regclass('alembic_version') is not null and to_regclass('agents') is not null as is_migrated,
       %(worker)s::uuid is null or exists (
           select 1 from workers where id = %(worker)s::uuid and state = 'active' and lease_until > now()) as works"""


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = Field(description="Always `alive`.", examples=["alive"])


class Readiness(BaseModel):
    """Whether work can be done here."""

    is_ready: bool = Field(description="Whether requests and tasks can be served.", examples=[True])
    has_worker: bool = Field(description="Whether this process executes tasks.", examples=[True])
    reasons: list[str] = Field(description="Why it is not ready; empty when it is.", examples=[[]])


@router.get("/healthz", summary="Is the process alive?")
async def get_health() -> Alive:
    """Answer whenever the process can; needs no key."""
    return Alive(status="alive")


@router.get(
    "/readyz",
    summary="Is it ready?",
    responses={503: {"model": Readiness, "description": "Not ready; the reasons are given"}},
)
async def get_readiness(platform: Platform, request: Request, response: Response) -> Readiness:
    """Tell whether the database answers, is migrated, and this process's worker (if any) is active; needs no key."""
    state = request.app.state
    checked_at, readiness = getattr(state, "readiness", (0.0, None))
    if readiness is None or time.monotonic() - checked_at > _MEMORY_SECONDS:
        readiness = await _look(platform)
        if state.bell.is_closed:
            readiness = readiness.model_copy(update={"is_ready": False, "reasons": ["shutting down"]})
        state.readiness = (time.monotonic(), readiness)
    if not readiness.is_ready:
        response.status_code = 503
    return readiness


async def _look(installation: Installation) -> Readiness:
    worker = installation.worker
    reasons: list[str] = []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            row = await installation.database.fetch_one(_LOOK, {"worker": None if worker is None else worker.id})
        if row is None or not row["is_migrated"]:
            reasons.append("the database is not migrated")
        elif not row["works"]:
            reasons.append("this process's worker is not active")
    except (psycopg.Error, BailiwickError, TimeoutError):
        # Without a key nobody learns more than this.
        reasons.append("the database does not answer")
    return Readiness(is_ready=not reasons, has_worker=worker is not None, reasons=reasons)
