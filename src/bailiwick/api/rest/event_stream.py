"""The event stream: server-sent events, resumed where a client left off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.authentication import Authentication
from bailiwick.api.realtime import EventBell, Follower, Position, wait_for_events
from bailiwick.api.rest.events import view_of
from bailiwick.api.rest.pages import problems
from bailiwick.kernel.errors import UnauthorizedError

router = APIRouter(prefix="/events", tags=["events"])

_RECONNECT_MILLISECONDS = 2000


async def _opened(
    platform: Platform,
    organization: Tenant,
    request: Request,
    *,
    after: Annotated[
        str | None,
        Query(
            max_length=100,
            description="Go on behind this event. Without it and without `Last-Event-ID` the stream begins now.",
            examples=["0199b6ff-b66f-7000-8000-000000000006"],
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            max_length=100,
            description="The `id` of the last message; browsers send it by themselves when they reconnect.",
            examples=["0199b6ff-b66f-7000-8000-000000000006.12"],
        ),
    ] = None,
) -> Follower:
    bell: EventBell = request.app.state.bell
    bell.check_room()
    text = last_event_id or after
    follower = Follower(platform.event_reader, organization.id)
    await follower.start(Position.parse(text) if text else None)
    return follower


@router.get(
    "/stream",
    summary="Follow events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "A stream of messages: `event` is the type, `data` the event as JSON, `id` the position.",
            "content": {"text/event-stream": {"example": "event: issue.opened\nid: 0199b6ff-...\ndata: {...}\n\n"}},
        },
        **problems(404, 503),
    },
    dependencies=[Needs("events:read")],
)
async def stream_events(
    request: Request,
    organization: Tenant,
    follower: Annotated[Follower, Depends(_opened)],
    event_type: Annotated[
        list[str] | None,
        Query(alias="type", max_length=50, description="These types only.", examples=[["issue.opened"]]),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Tell every event as it is recorded, each once, until the client leaves.

    A message's `id` is a position: a client that comes back with it in
    `Last-Event-ID` misses nothing. Should an event have been committed late just
    then, the last two seconds are told again; tell them by their ids.
    """
    bell: EventBell = request.app.state.bell
    authentication: Authentication = request.app.state.authentication
    with bell.heard() as heard:
        yield ServerSentEvent(comment="following", retry=_RECONNECT_MILLISECONDS)
        while not bell.is_closed:
            async for position, event in follower.advance():
                if not event_type or event.type in event_type:
                    data = view_of(event).model_dump_json()
                    yield ServerSentEvent(raw_data=data, event=event.type, id=str(position))
            await wait_for_events(heard)
            try:
                caller = await authentication.authenticate(request.scope)
            except UnauthorizedError:
                return
            if not caller.may("events:read", organization.id):
                return
            # Gives a client that left the chance to be noticed.
            await asyncio.sleep(0)
