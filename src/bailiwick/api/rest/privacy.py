"""People's data: who is registered, what they consent to, copies and erasure, legal holds, retention."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, problems
from bailiwick.api.rest.privacy_views import (
    CertificateView,
    ConsentBody,
    ConsentChangeView,
    ConsentPage,
    ConsentView,
    HoldPage,
    HoldView,
    NewHoldBody,
    NewRequestBody,
    NewSubjectBody,
    ReleaseBody,
    RequestPage,
    RequestView,
    RetentionBody,
    Retentions,
    RetentionView,
    SubjectPage,
    SubjectView,
)
from bailiwick.privacy import Evidence, Identifier, Purpose
from bailiwick.privacy.classes import RETENTION_CLASSES

router = APIRouter(prefix="/privacy", tags=["privacy"])

_ID = "0199b6ff-b66f-7000-8000-000000000012"
_CLASSES = ", ".join(RETENTION_CLASSES)
SubjectName = Annotated[
    str,
    Path(max_length=400, description="A person: an id, or email:..., login:..., user:..., name:...", examples=[_ID]),
]
RequestId = Annotated[str, Path(max_length=100, description="A request's id.", examples=[_ID])]
HoldId = Annotated[str, Path(max_length=100, description="A hold's id.", examples=[_ID])]

_READ, _WRITE = [Needs("privacy:read")], [Needs("privacy:write")]


@router.get("/subjects", dependencies=_READ, summary="List people", responses=problems(404))
async def list_subjects(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> SubjectPage:
    """Return the registered people, newest first; what they are known by is sealed."""
    page = await platform.privacy.subjects.list(organization.id, limit=limit, cursor=cursor)
    return SubjectPage.model_validate(page, from_attributes=True)


@router.post("/subjects", dependencies=_WRITE, status_code=201, summary="Register a person",
             responses=problems(404, 409))  # fmt: skip
async def register_subject(
    platform: Platform, organization: Tenant, actor: Acting, body: NewSubjectBody
) -> SubjectView:
    """Register a person, or add to what a registered one is known by."""
    known_by = [Identifier.of(one.kind, one.value) for one in body.identifiers]
    found = await platform.privacy.subjects.register(organization.id, known_by, actor=actor)
    return SubjectView.model_validate(found, from_attributes=True)


@router.get("/subjects/{subject}", dependencies=_READ, summary="Get a person", responses=problems(404, 409))
async def get_subject(platform: Platform, organization: Tenant, subject: SubjectName) -> SubjectView:
    """Return a person by id or by what they are known by."""
    found = await platform.privacy.subjects.get(organization.id, subject)
    return SubjectView.model_validate(found, from_attributes=True)


@router.get("/consents", dependencies=_READ, summary="List consents", responses=problems(404, 409))
async def list_consents(
    platform: Platform,
    organization: Tenant,
    subject: Annotated[
        str | None, Query(min_length=1, max_length=400, description="Of one person, as in paths.", examples=[_ID])
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ConsentPage:
    """Return consents, newest first."""
    found = None if subject is None else await platform.privacy.subjects.get(organization.id, subject)
    page = await platform.privacy.consents.list(
        organization.id, subject_id=None if found is None else found.id, limit=limit, cursor=cursor
    )
    return ConsentPage.model_validate(page, from_attributes=True)


@router.put("/subjects/{subject}/consents/{purpose}", dependencies=_WRITE, summary="Record a consent",
            responses=problems(404, 409))  # fmt: skip
async def record_consent(
    platform: Platform,
    *,
    organization: Tenant,
    actor: Acting,
    subject: SubjectName,
    purpose: Annotated[Purpose, Path(description="The purpose.", examples=["marketing"])],
    body: ConsentBody,
) -> ConsentView:
    """Record what the person said; a withdrawal has effect at once, on running tasks at their next step."""
    consents = platform.privacy.consents
    change = {
        "pending": consents.ask, "granted": consents.grant, "denied": consents.deny, "withdrawn": consents.withdraw,
    }[body.state]  # fmt: skip
    found = await platform.privacy.subjects.get(organization.id, subject)
    evidence = Evidence(body.method, body.text_version, body.note)
    made = await change(organization.id, found.id, purpose, evidence=evidence, actor=actor)
    return ConsentView.model_validate(made, from_attributes=True)


@router.get("/subjects/{subject}/consents/{purpose}/history", dependencies=_READ, summary="See a consent's history",
            responses=problems(404, 409))  # fmt: skip
async def get_consent_history(
    platform: Platform,
    organization: Tenant,
    subject: SubjectName,
    purpose: Annotated[Purpose, Path(description="The purpose.", examples=["marketing"])],
) -> list[ConsentChangeView]:
    """Return every change with its evidence, oldest first."""
    found = await platform.privacy.subjects.get(organization.id, subject)
    history = await platform.privacy.consents.history(organization.id, found.id, purpose)
    return [ConsentChangeView.model_validate(change, from_attributes=True) for change in history]


@router.get("/requests", dependencies=_READ, summary="List requests", responses=problems(404))
async def list_data_requests(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> RequestPage:
    """Return requests for copies and erasures, newest first."""
    page = await platform.privacy.requests.list(organization.id, limit=limit, cursor=cursor)
    return RequestPage.model_validate(page, from_attributes=True)


@router.post("/requests", dependencies=_WRITE, status_code=201, summary="Ask for a copy or an erasure",
             responses=problems(404, 409))  # fmt: skip
async def make_data_request(
    platform: Platform, organization: Tenant, actor: Acting, body: NewRequestBody
) -> RequestView:
    """Ask for everything about a person, or for its erasure; a task carries it out."""
    made = await platform.privacy.requests.make(organization.id, body.subject, body.kind, actor=actor)
    return RequestView.model_validate(made, from_attributes=True)


@router.get("/requests/{request_id}", dependencies=_READ, summary="Get a request", responses=problems(404))
async def get_data_request(platform: Platform, organization: Tenant, request_id: RequestId) -> RequestView:
    """Return one request."""
    found = await platform.privacy.requests.get(organization.id, request_id)
    return RequestView.model_validate(found, from_attributes=True)


@router.get("/requests/{request_id}/archive", dependencies=_WRITE, summary="Fetch a copy", responses=problems(404),
            response_class=Response)  # fmt: skip
async def get_archive(platform: Platform, organization: Tenant, actor: Acting, request_id: RequestId) -> Response:
    """Return the archive of an export as JSON, for seven days; who fetches it is audited."""
    data = await platform.privacy.requests.archive(organization.id, request_id, actor=actor)
    return Response(data, media_type="application/json", headers={"cache-control": "no-store"})


@router.get("/requests/{request_id}/certificate", dependencies=_READ, summary="Get a certificate",
            responses=problems(404))  # fmt: skip
async def get_certificate(platform: Platform, organization: Tenant, request_id: RequestId) -> CertificateView:
    """Return the signed certificate of an erasure."""
    certificate = await platform.privacy.requests.certificate(organization.id, request_id)
    return CertificateView.model_validate(certificate)


@router.get("/holds", dependencies=_READ, summary="List legal holds", responses=problems(404))
async def list_holds(platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None) -> HoldPage:
    """Return legal holds, newest first, released ones too."""
    page = await platform.privacy.holds.list(organization.id, limit=limit, cursor=cursor)
    return HoldPage.model_validate(page, from_attributes=True)


@router.post("/holds", dependencies=_WRITE, status_code=201, summary="Place a legal hold", responses=problems(404, 409))
async def place_hold(platform: Platform, organization: Tenant, actor: Acting, body: NewHoldBody) -> HoldView:
    """Hold a person's data, a class, or everything: it beats erasure and retention."""
    made = await platform.privacy.holds.place(
        organization.id, reason=body.reason, actor=actor, subject=body.subject, data_class=body.data_class,
        until=body.until,
    )  # fmt: skip
    return HoldView.model_validate(made, from_attributes=True)


@router.post("/holds/{hold_id}/release", dependencies=_WRITE, summary="Release a legal hold",
             responses=problems(404, 409))  # fmt: skip
async def release_hold(
    platform: Platform, organization: Tenant, actor: Acting, hold_id: HoldId, body: ReleaseBody
) -> HoldView:
    """End a hold."""
    released = await platform.privacy.holds.release(organization.id, hold_id, reason=body.reason, actor=actor)
    return HoldView.model_validate(released, from_attributes=True)


@router.get("/retention", dependencies=_READ, summary="See retention", responses=problems(404))
async def get_retention(platform: Platform, organization: Tenant) -> Retentions:
    """Return how long each class of data is kept."""
    policies = await platform.privacy.policies.list(organization.id)
    return Retentions(items=[RetentionView.model_validate(one, from_attributes=True) for one in policies])


@router.put("/retention/{data_class}", dependencies=_WRITE, summary="Set retention", responses=problems(404))
async def set_retention(
    platform: Platform,
    organization: Tenant,
    actor: Acting,
    data_class: Annotated[str, Path(max_length=50, description=f"{_CLASSES}.", examples=["operations"])],
    body: RetentionBody,
) -> RetentionView:
    """Keep a class that long from the next run of system.retain on."""
    policy = await platform.privacy.policies.set(organization.id, data_class, body.days, actor=actor)
    return RetentionView.model_validate(policy, from_attributes=True)
