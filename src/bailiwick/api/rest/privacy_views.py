"""What the operations on people's data take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bailiwick.api.rest.pages import Moment, PageOf
from bailiwick.api.rest.pages import Request as Body
from bailiwick.privacy import ConsentState, Purpose
from bailiwick.privacy.classes import RETENTION_CLASSES
from bailiwick.privacy.subjects import MAX_IDENTIFIERS

_ID = "0199b6ff-b66f-7000-8000-000000000012"
_CLASSES = ", ".join(RETENTION_CLASSES)
Words = Annotated[str, Field(min_length=1, max_length=2000)]


class SubjectView(BaseModel):
    """A person the organization holds data about; what they are known by is sealed."""

    id: str = Field(description="Its id.", examples=[_ID])
    created_at: datetime = Field(description="When it was registered (UTC).", examples=["2026-11-20T09:30:00Z"])
    erased_at: datetime | None = Field(description="When everything else was erased (UTC).", examples=[None])


class SubjectPage(PageOf[SubjectView]):
    """A page of people."""


class IdentifierBody(Body):
    """One thing a person is known by."""

    kind: Literal["email", "login", "user", "name"] = Field(description="What it is.", examples=["email"])
    value: str = Field(min_length=1, max_length=320, description="The value.", examples=["anna@example.org"])


class NewSubjectBody(Body):
    """A person to register."""

    identifiers: list[IdentifierBody] = Field(
        min_length=1, max_length=MAX_IDENTIFIERS, description="Everything the person is known by."
    )


class ConsentView(BaseModel):
    """Where a person stands on a purpose."""

    id: str = Field(description="Its id.", examples=[_ID])
    subject_id: str = Field(description="The person.", examples=[_ID])
    purpose: Purpose = Field(description="The purpose.", examples=["marketing"])
    state: ConsentState = Field(description="Only `granted` permits anything.", examples=["granted"])
    expires_at: datetime | None = Field(description="When it lapses (UTC).", examples=["2028-11-19T09:30:00Z"])
    changed_at: datetime = Field(description="When it changed last (UTC).", examples=["2026-11-20T09:30:00Z"])


class ConsentPage(PageOf[ConsentView]):
    """A page of consents."""


class ConsentBody(Body):
    """What the person said, and how."""

    state: Literal["pending", "granted", "denied", "withdrawn"] = Field(
        description="Asked, consents, refuses, or takes it back.", examples=["granted"]
    )
    method: str = Field(min_length=1, max_length=200, description="How it came about.", examples=["web form"])
    text_version: str | None = Field(
        default=None, max_length=200, description="Which version of the text was shown.", examples=["terms 3"]
    )
    note: str | None = Field(
        default=None, max_length=4000, description="In the person's words; kept sealed.", examples=["I agree."]
    )


class ConsentChangeView(BaseModel):
    """One change of a consent, with its evidence."""

    from_state: ConsentState | None = Field(description="Before; null: never asked.", examples=[None])
    to_state: ConsentState = Field(description="After.", examples=["granted"])
    actor_kind: str = Field(description="Who recorded it: user, key, service, system.", examples=["user"])
    actor_id: str = Field(description="The id of who recorded it.", examples=[_ID])
    method: str = Field(description="How it came about.", examples=["web form"])
    text_version: str | None = Field(description="Which version of the text was shown.", examples=["terms 3"])
    changed_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])


class RequestView(BaseModel):
    """A request for a copy or an erasure."""

    id: str = Field(description="Its id.", examples=[_ID])
    subject_id: str = Field(description="The person.", examples=[_ID])
    kind: Literal["export", "erasure"] = Field(description="What was asked for.", examples=["export"])
    state: Literal["pending", "done", "refused"] = Field(description="What became of it.", examples=["pending"])
    reason: str | None = Field(description="Why it was refused.", examples=[None])
    task_id: str | None = Field(description="The task that carries it out.", examples=[_ID])
    has_archive: bool = Field(description="Whether an archive waits to be fetched.", examples=[False])
    archive_until: datetime | None = Field(description="Until when it waits (UTC).", examples=[None])
    has_certificate: bool = Field(description="Whether there is a certificate.", examples=[False])
    requested_at: datetime = Field(description="When it was asked for (UTC).", examples=["2026-11-20T09:30:00Z"])
    finished_at: datetime | None = Field(description="When it ended (UTC).", examples=[None])


class RequestPage(PageOf[RequestView]):
    """A page of requests."""


class NewRequestBody(Body):
    """What is asked for."""

    subject: str = Field(min_length=1, max_length=400, description="The person, as in paths.", examples=[_ID])
    kind: Literal["export", "erasure"] = Field(description="A copy of everything, or its erasure.", examples=["export"])


class HoldView(BaseModel):
    """A legal hold."""

    id: str = Field(description="Its id.", examples=[_ID])
    scope: str = Field(description="organization, class or subject.", examples=["subject"])
    target: str | None = Field(description="The class or the person.", examples=[_ID])
    reason: str = Field(description="Why.", examples=["case 12 B 4"])
    placed_by: str = Field(description="Who placed it.", examples=[f"user:{_ID}"])
    placed_at: datetime = Field(description="When (UTC).", examples=["2026-11-20T09:30:00Z"])
    until: datetime | None = Field(description="When it ends by itself (UTC).", examples=[None])
    released_at: datetime | None = Field(description="When it was released (UTC).", examples=[None])
    released_by: str | None = Field(description="Who released it.", examples=[None])
    release_reason: str | None = Field(description="Why.", examples=[None])


class HoldPage(PageOf[HoldView]):
    """A page of legal holds."""


class NewHoldBody(Body):
    """A hold to place: on a person, a class, or with neither on everything of the organization."""

    reason: Words = Field(description="Why.", examples=["case 12 B 4"])
    subject: str | None = Field(default=None, min_length=1, max_length=400, description="The person.", examples=[_ID])
    data_class: str | None = Field(default=None, max_length=50, description=f"{_CLASSES}.", examples=["operations"])
    until: Moment | None = Field(default=None, description="When it ends by itself.", examples=[None])


class ReleaseBody(Body):
    """Why a hold is released."""

    reason: Words = Field(description="Why.", examples=["the case was settled"])


class RetentionView(BaseModel):
    """How long a class of data is kept."""

    name: str = Field(description=f"{_CLASSES}.", examples=["operations"])
    about: str = Field(description="What is in it.", examples=["events, tasks, their journals"])
    days: int | None = Field(description="Null: as long as the installation keeps its months.", examples=[365])
    is_default: bool = Field(description="Whether the organization set nothing.", examples=[True])


class Retentions(BaseModel):
    """Every class of data."""

    items: list[RetentionView] = Field(description="All classes.")


class RetentionBody(Body):
    """How long to keep a class."""

    days: int | None = Field(ge=1, le=36_525, description="Days; null goes back to the default.", examples=[365])


class CertificateView(BaseModel):
    """The signed certificate of an erasure."""

    statement: dict[str, Any] = Field(
        description="What was searched, found, erased and kept.",
        examples=[{"format": "bailiwick-erasure-certificate/1"}],
    )
    sha256: str = Field(description="The hash of the statement's canonical JSON.", examples=["0" * 64])
    signature: str = Field(description="Ed25519 over the same bytes, in hexadecimal digits.", examples=["0" * 128])
    key_id: str = Field(description="The key that signed it.", examples=[_ID])
    public_key: str = Field(description="Its public half, in hexadecimal digits.", examples=["0" * 64])
