"""What the resources share: pages by cursor, moments in time, and the errors they declare."""

from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from bailiwick.api.problems import MEDIA_TYPE, Problem
from bailiwick.kernel.clock import Moment as Moment
from bailiwick.storage.pages import MAX_PAGE

Item = TypeVar("Item")


class PageOf(BaseModel, Generic[Item]):
    """Some items of a listing, newest first."""

    items: list[Item] = Field(description="At most `limit` items.")
    next_cursor: str | None = Field(
        description="Give it as `cursor` to get what follows; null at the end.",
        examples=["MDE5OWI2ZmYtYjY2Zi03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"],
    )


class Request(BaseModel):
    """A request's body: a field it does not know is refused, because it is most often a typing error."""

    model_config = ConfigDict(extra="forbid")


Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="The most items to return.", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(
        max_length=200,
        description="`next_cursor` of the page before; none begins with the newest.",
        examples=["MDE5OWI2ZmYtYjY2Zi03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"],
    ),
]
TaskId = Annotated[
    str, Path(max_length=100, description="A task's id.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the errors that an operation may answer with, besides those of every operation."""
    return {
        int(status): {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }
