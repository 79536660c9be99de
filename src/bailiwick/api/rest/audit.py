"""The audit log: who did what, and alarms; of an organization, or of the installation itself."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Admin, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, problems
from bailiwick.audit import Act, Actor, EntryFilter
from bailiwick.audit.alarms import describe
from bailiwick.audit.exporting import export_lines
from bailiwick.installation import Installation
from bailiwick.kernel.ids import INSTALLATION

router = APIRouter(prefix="/audit", tags=["audit"])

_JSON_LINES = "application/x-ndjson"
# Lines sent at once; one by one each would be a message of its own.
_BLOCK = 200


class ActorView(BaseModel):
    """Who acted."""

    kind: str = Field(description="user, key, service, agent, system or anonymous.", examples=["user"])
    id: str = Field(description="The id of the user, key, service account or agent.", examples=["0199b6ff-b66f-7000"])
    name: str = Field(description="The name at that time.", examples=["Anna"])
    address: str | None = Field(description="Where the request came from.", examples=["192.0.2.7"])


class EntryView(BaseModel):
    """An entry of the audit log."""

    seq: int = Field(description="Its place in the organization's chain, from 1 without gaps.", examples=[17])
    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000009"])
    action: str = Field(description="What was done.", examples=["limit.changed"])
    actor: ActorView = Field(description="Who did it.")
    target: str = Field(description="What it was done to, as kind:id.", examples=["limit:organization"])
    before: dict[str, Any] | None = Field(description="The fields that changed, before.", examples=[None])
    after: dict[str, Any] | None = Field(description="The same after.", examples=[{"max_concurrency": 10}])
    reason: str | None = Field(description="Why, where somebody said so.", examples=["maintenance"])
    recorded_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])
    previous: str = Field(description="The hash of the entry before it.", examples=["0" * 64])
    hash: str = Field(description="SHA-256 over the entry's canonical JSON.", examples=["0" * 64])


class EntryPage(PageOf[EntryView]):
    """A page of entries."""


class AlarmView(BaseModel):
    """An alarm."""

    id: str = Field(description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000010"])
    rule: str = Field(description="login_failures or mass_reads.", examples=["mass_reads"])
    subject: str = Field(description="Who, or where from.", examples=["key:0199b6ff-b66f-7000-8000-000000000011"])
    count: int = Field(description="How often.", examples=[100])
    threshold: int = Field(description="How often raises the alarm.", examples=[100])
    window_seconds: float = Field(description="Within how long.", examples=[3600])
    raised_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])
    description: str = Field(description="The same as a sentence.", examples=["100 reads by key:... within 60 minutes"])


class AlarmPage(PageOf[AlarmView]):
    """A page of alarms."""


def _wanted(
    action: Annotated[
        str | None, Query(max_length=200, description="An action, or a family of them.", examples=["limit.*"])
    ] = None,
    actor_id: Annotated[
        str | None, Query(alias="actor", max_length=200, description="Who acted, by id.", examples=["system"])
    ] = None,
    target: Annotated[
        str | None, Query(max_length=300, description="What was acted on.", examples=["limit:organization"])
    ] = None,
    since: Annotated[
        Moment | None, Query(description="From this moment on.", examples=["2026-11-20T09:30:00Z"])
    ] = None,
) -> EntryFilter:
    return EntryFilter(action, actor_id, target, since)


Wanted = Annotated[EntryFilter, Depends(_wanted)]
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON lines: a header with the public keys, entries and their signed roots, and a signed end.",
        "content": {_JSON_LINES: {"schema": {"type": "string"}, "example": '{"content":{...},"type":"header"}\n'}},
    },
    **problems(404),
}


@router.get("", summary="List audit entries", responses=problems(404), dependencies=[Needs("audit:read")])
async def list_audit_entries(
    platform: Platform, organization: Tenant, wanted: Wanted, limit: Limit = 50, cursor: Cursor = None
) -> EntryPage:
    """Return who did what in an organization, newest first."""
    return await _entries(platform, organization.id, wanted, limit, cursor)


@router.get(
    "/export",
    summary="Export the audit log",
    response_class=StreamingResponse,
    responses=_EXPORTED,
    dependencies=[Needs("audit:read")],
)
async def export_audit(platform: Platform, organization: Tenant, actor: Acting) -> StreamingResponse:
    """Return an organization's whole log; `bailiwick audit verify FILE` checks it offline.

    Its end is signed first. An export counts as reading every entry, and is recorded itself.
    """
    return await _export(platform, organization.id, organization.slug, actor)


@router.get("/alarms", summary="List alarms", responses=problems(404), dependencies=[Needs("audit:read")])
async def list_alarms(platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None) -> AlarmPage:
    """Return an organization's alarms, newest first."""
    return await _alarms(platform, organization.id, limit, cursor)


@router.get("/installation", summary="List the installation's audit entries", responses=problems(403))
async def list_installation_entries(
    platform: Platform, _: Admin, wanted: Wanted, limit: Limit = 50, cursor: Cursor = None
) -> EntryPage:
    """Return what was done to accounts, keys and the installation itself, newest first; for administrators."""
    return await _entries(platform, INSTALLATION, wanted, limit, cursor)


@router.get(
    "/installation/export",
    summary="Export the installation's audit log",
    response_class=StreamingResponse,
    responses={**_EXPORTED, **problems(403)},
)
async def export_installation_audit(platform: Platform, _: Admin, actor: Acting) -> StreamingResponse:
    """Return the installation's own log whole; for administrators."""
    return await _export(platform, INSTALLATION, "installation", actor)


@router.get("/installation/alarms", summary="List the installation's alarms", responses=problems(403))
async def list_installation_alarms(platform: Platform, _: Admin, limit: Limit = 50, cursor: Cursor = None) -> AlarmPage:
    """Return alarms on failed logins, newest first; for administrators."""
    return await _alarms(platform, INSTALLATION, limit, cursor)


async def _entries(
    platform: Installation, organization_id: str, wanted: EntryFilter, limit: int, cursor: str | None
) -> EntryPage:
    page = await platform.audit.list(organization_id, wanted, limit=limit, cursor=cursor)
    return EntryPage.model_validate(page, from_attributes=True)


async def _alarms(platform: Installation, organization_id: str, limit: int, cursor: str | None) -> AlarmPage:
    page = await platform.alarms.list(organization_id, limit=limit, cursor=cursor)
    views = [
        AlarmView(
            id=alarm.id, rule=alarm.rule, subject=alarm.subject, count=alarm.count, threshold=alarm.threshold,
            window_seconds=alarm.window_seconds, raised_at=alarm.raised_at, description=describe(alarm),
        )
        for alarm in page.items
    ]  # fmt: skip
    return AlarmPage(items=views, next_cursor=page.next_cursor)


async def _export(platform: Installation, organization_id: str, slug: str, actor: Actor) -> StreamingResponse:
    await platform.audit.record(Act(organization_id, "audit.exported", actor, f"audit:{organization_id}"))
    lines = export_lines(platform.audit, platform.audit_roots, organization_id, slug)
    # Before the answer begins, so that a key that cannot be opened is told as a problem.
    header = await anext(lines)
    name = f"audit-{slug}.jsonl"
    return StreamingResponse(
        _counted(platform, organization_id, actor, header, lines),
        media_type=_JSON_LINES,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _counted(
    platform: Installation, organization_id: str, actor: Actor, header: bytes, lines: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield header
    block: list[bytes] = []
    async for line in lines:
        block.append(line)
        if len(block) == _BLOCK:
            platform.alarms.read(actor, organization_id, len(block))
            yield b"".join(block)
            block.clear()
    platform.alarms.read(actor, organization_id, len(block))
    yield b"".join(block)
