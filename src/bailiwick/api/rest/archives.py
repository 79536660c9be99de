"""Archives: one run in one signed file, for whoever may read the audit log."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import TaskId, problems
from bailiwick.replay.exporting import Wanted

router = APIRouter(prefix="/runs", tags=["runs"])

_ZIP = "application/zip"
_ARCHIVE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A zip of JSON lines with a signed manifest; `bailiwick run open FILE` steps through it.",
        "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}, "example": "PK..."}},
    },
    **problems(404),
}


@router.get(
    "/{task_id}/archive",
    summary="Export a run",
    response_class=Response,
    responses=_ARCHIVE,
    dependencies=[Needs("audit:read")],
)
async def export_run(
    platform: Platform,
    organization: Tenant,
    actor: Acting,
    task_id: TaskId,
    *,
    people: Annotated[
        bool, Query(description="Leave names and addresses of people in it; secrets never are.", examples=[False])
    ] = False,
    audit: Annotated[
        bool,
        Query(description="Add the organization's whole audit log, names included, to verify it by.", examples=[False]),
    ] = False,
) -> Response:
    """Return everything that is kept of a run in one file, signed, secrets hidden and people reduced.

    It opens without an installation, and becomes a regression test by
    `bailiwick run test`. The export is recorded in the audit log.
    """
    made = await platform.runs.export(
        organization.id, organization.slug, task_id, wanted=Wanted(keeps_people=people, with_audit=audit), actor=actor,
        extensions=[asdict(one) for one in platform.extensions],
    )  # fmt: skip
    # Every document counts as a read, as with any other export.
    platform.alarms.read(actor, organization.id, made.documents)
    name = f"{task_id}.run.zip"
    return Response(made.data, media_type=_ZIP, headers={"content-disposition": f'attachment; filename="{name}"'})
