"""Events: facts, published, listed and looked at."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Anybody, Needs, Platform, Tenant
from bailiwick.api.rest.labels import Labels, Outside, door_labels
from bailiwick.api.rest.pages import Cursor, Limit, Moment, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.events import Event, NewEvent
from bailiwick.kernel.errors import ForbiddenError

router = APIRouter(prefix="/events", tags=["events"])

MAX_AT_ONCE = 500


class EventView(BaseModel):
    """A recorded fact."""

    id: str = Field(description="Its id; later ones sort after earlier ones.")
    type: str = Field(description="What happened.", examples=["issue.opened"])
    version: int = Field(description="The version of the payload's schema.", examples=[1])
    key: str | None = Field(description="What it is about.", examples=["acme/shop#7"])
    payload: dict[str, Any] = Field(description="The facts; their schema is that of the type.", examples=[{}])
    cause_id: str | None = Field(description="The task or event it follows from.", examples=[None])
    occurred_at: datetime = Field(description="When it happened (UTC).", examples=["2026-11-20T09:29:58Z"])
    recorded_at: datetime = Field(description="When it was recorded (UTC).", examples=["2026-11-20T09:30:00Z"])
    labels: Labels


class EventPage(PageOf[EventView]):
    """A page of events."""


class EventBody(Body):
    """A fact to record."""

    type: str = Field(
        min_length=1, max_length=200, description="One of `GET /api/v1/event-types`.", examples=["meter.read"]
    )
    payload: dict[str, Any] = Field(
        description="What the type's schema asks for, at most 256 KiB.",
        examples=[{"meter_id": "M-1", "unit": "kWh", "value": 3.5, "read_at": "2026-11-20T09:15:00Z"}],
    )
    key: str | None = Field(
        default=None, min_length=1, max_length=500, description="What it is about; the type derives it if left out.",
        examples=[None],
    )  # fmt: skip
    dedupe_key: str | None = Field(
        default=None, min_length=1, max_length=500, description="The same key twice in an organization is one event.",
        examples=["M-1/2026-11-20T09:15:00Z"],
    )  # fmt: skip
    occurred_at: Moment | None = Field(
        default=None, description="When it happened; now if left out.", examples=["2026-11-20T09:15:00Z"]
    )
    cause_id: UUID | None = Field(default=None, description="The task or event it follows from.", examples=[None])
    outside: Outside | None = Field(
        default=None,
        description="The outside system whose text it carries, where it is not the caller's own word: it is labelled "
        "`untrusted:` with this name.",
        examples=[None],
    )


class EventsBody(Body):
    """Facts to record; all are checked before the first is."""

    events: list[EventBody] = Field(min_length=1, max_length=MAX_AT_ONCE, description="In order.")


class PublishedEvent(BaseModel):
    """The durable answer for one event."""

    event_id: str = Field(
        description="The event, or the one it duplicates.", examples=["0199b6ff-b66f-7000-8000-000000000006"]
    )
    is_duplicate: bool = Field(description="Whether it was recorded before.", examples=[False])


class PublishedEvents(BaseModel):
    """The durable answer, one for each event in order."""

    items: list[PublishedEvent] = Field(description="As many as were sent.")


@router.get("", summary="List events", responses=problems(404), dependencies=[Needs("events:read")])
async def list_events(
    platform: Platform,
    organization: Tenant,
    *,
    event_type: Annotated[
        str | None, Query(alias="type", max_length=200, description="This type only.", examples=["issue.opened"])
    ] = None,
    key: Annotated[
        str | None, Query(max_length=500, description="Events about this key only.", examples=["acme/shop#7"])
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EventPage:
    """Return events, newest first."""
    page = await platform.event_reader.list(organization.id, type_name=event_type, key=key, limit=limit, cursor=cursor)
    return EventPage(items=[view_of(event) for event in page.items], next_cursor=page.next_cursor)


@router.get("/{event_id}", summary="Get an event", responses=problems(404), dependencies=[Needs("events:read")])
async def get_event(
    platform: Platform,
    organization: Tenant,
    event_id: Annotated[
        str, Path(max_length=100, description="Its id.", examples=["0199b6ff-b66f-7000-8000-000000000006"])
    ],
) -> EventView:
    """Return one event."""
    return view_of(await platform.event_reader.get(organization.id, event_id))


@router.post(
    "", status_code=201, summary="Publish events", responses=problems(404), dependencies=[Needs("events:write")]
)
async def publish_events(
    platform: Platform, organization: Tenant, caller: Anybody, body: EventsBody
) -> PublishedEvents:
    """Record up to 500 facts and make the tasks that follow; once this answers, both survive any crash.

    With dedupe keys the request can be repeated safely. They are the caller's word, and are labelled with who that
    is; a type that carries text from outside, such as `issue.opened`, is labelled untrusted as well. What only the
    platform makes, such as `security.alarm`, is refused.
    """
    internal = sorted({event.type for event in body.events if platform.events.types.get(event.type).is_internal})
    if internal:
        raise ForbiddenError(f"only the platform itself publishes {', '.join(internal)}; publish a type of your own")
    types = platform.events.types
    new = [
        NewEvent(
            event.type,
            event.payload,
            key=event.key,
            dedupe_key=event.dedupe_key,
            occurred_at=event.occurred_at,
            cause_id=None if event.cause_id is None else str(event.cause_id),
            labels=door_labels(caller, event.outside, is_declared=types.get(event.type).outside is not None),
        )
        for event in body.events
    ]
    published = await platform.events.publish(organization.id, new)
    return PublishedEvents(
        items=[PublishedEvent(event_id=entry.event_id, is_duplicate=entry.is_duplicate) for entry in published]
    )


def view_of(event: Event) -> EventView:
    """Return an event as it is shown."""
    return EventView.model_validate(event, from_attributes=True)
