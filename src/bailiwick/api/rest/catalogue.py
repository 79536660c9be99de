"""The catalogue: which kinds of task and event this installation knows, and where they come from."""

from functools import cache
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from bailiwick.api.access import Anybody, Platform

router = APIRouter(tags=["catalogue"])


class KindView(BaseModel):
    """A kind of task."""

    name: str = Field(description="Its name.", examples=["issue.triage"])
    payload_schema: dict[str, Any] = Field(
        description="What its payload must look like (JSON Schema).", examples=[{"type": "object", "properties": {}}]
    )
    max_attempts: int = Field(description="How often it is tried.", examples=[5])
    first_delay_seconds: float = Field(description="How long the first retry waits.", examples=[1.0])
    timeout_seconds: float = Field(description="How long one stretch of execution may take.", examples=[300.0])


class EventTypeView(BaseModel):
    """A type of event."""

    name: str = Field(description="Its name, past tense.", examples=["issue.opened"])
    version: int = Field(description="The version of its schema.", examples=[1])
    payload_schema: dict[str, Any] = Field(
        description="What its payload must look like (JSON Schema).", examples=[{"type": "object", "properties": {}}]
    )


class ExtensionView(BaseModel):
    """An extension."""

    name: str = Field(description="Its name.", examples=["operations"])
    version: str = Field(description="Its version.", examples=["0.1.0"])
    state: Literal["loaded", "failed"] = Field(description="What became of it.", examples=["loaded"])
    error: str | None = Field(description="Why it failed; shown to administrators.", examples=[None])


class KindList(BaseModel):
    """Every kind of task."""

    items: list[KindView] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null: they come at once.")


class EventTypeList(BaseModel):
    """Every type of event."""

    items: list[EventTypeView] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null: they come at once.")


class ExtensionList(BaseModel):
    """Every extension."""

    items: list[ExtensionView] = Field(description="In the order in which they were loaded.")
    next_cursor: None = Field(default=None, description="Always null: they come at once.")


@cache
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    # Making one takes milliseconds, which all requests would wait for.
    return model.model_json_schema()


@router.get("/kinds", summary="List kinds of task")
async def list_kinds(platform: Platform, _: Anybody) -> KindList:
    """Return every kind of task this process can take, with its payload's JSON Schema."""
    kinds = [platform.registry.kinds.get(name) for name in platform.registry.kinds.names()]
    views = [
        KindView(
            name=kind.name,
            payload_schema=_schema_of(kind.payload),
            max_attempts=kind.retry.max_attempts,
            first_delay_seconds=kind.retry.first_delay_seconds,
            timeout_seconds=kind.timeout_seconds,
        )
        for kind in kinds
    ]
    return KindList(items=views)


@router.get("/event-types", summary="List types of event")
async def list_event_types(platform: Platform, _: Anybody) -> EventTypeList:
    """Return every type of event this process can take, with its payload's JSON Schema."""
    types = [platform.registry.event_types.get(name) for name in platform.registry.event_types.names()]
    views = [
        EventTypeView(name=known.name, version=known.version, payload_schema=_schema_of(known.payload))
        for known in types
    ]
    return EventTypeList(items=views)


@router.get("/extensions", summary="List extensions")
async def list_extensions(platform: Platform, caller: Anybody) -> ExtensionList:
    """Return what became of each extension; a broken one is skipped and the rest goes on."""
    views = [
        ExtensionView(
            name=status.name,
            version=status.version,
            state=status.state,
            # An error may name files of the machine.
            error=status.error if caller.is_admin else None,
        )
        for status in platform.extensions
    ]
    return ExtensionList(items=views)
