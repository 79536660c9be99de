"""Quotas and usage: what an organization may use, what it did, and the plans that say so."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, PlainSerializer

from bailiwick.api.access import Acting, Admin, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.identity.quotas import Bound, Plan, QuotaView, Rate, Resource, Scope, Usage, month_of
from bailiwick.identity.quotas.metering import as_csv, month_totals, plain_amount
from bailiwick.identity.quotas.model import MAX_PER_MINUTE

usage = APIRouter(prefix="/usage", tags=["quotas"])
quotas = APIRouter(prefix="/quotas", tags=["quotas"])
plans = APIRouter(prefix="/plans", tags=["quotas"])

# As text, so that no digit of money is lost on the way.
Amount = Annotated[Decimal, PlainSerializer(plain_amount, return_type=str)]
Bounded = Annotated[Decimal, Field(ge=0, lt=10**13, decimal_places=6, allow_inf_nan=False)]
Month = Annotated[
    str | None,
    Query(
        pattern=r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$",
        description="The UTC month, like `2026-11`; none is the present one.",
        examples=["2026-11"],
    ),
]
Format = Annotated[
    Literal["json", "csv"], Query(description="`json`, or `csv` (RFC 4180) of the days alone.", examples=["csv"])
]
PlanName = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="The plan's name.", examples=["starter"])
]
ResourceName = Annotated[Resource, Path(description="What is bounded.", examples=["tasks"])]
ScopeName = Annotated[Scope, Path(description="Each key, each user, or the whole organization.", examples=["key"])]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Usage by organization and day.",
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "organization_id,resource,day,amount\r\n0199b6ff-...,tasks,2026-11-20,412\r\n",
            }
        },
    }
}


class UsageDay(BaseModel):
    """What was used of a resource on a UTC day."""

    organization_id: str = Field(description="Whose.", examples=["0199b6ff-b66f-7000-8000-000000000002"])
    resource: Resource = Field(description="What.", examples=["tasks"])
    day: date = Field(description="The UTC day.", examples=["2026-11-20"])
    amount: Amount = Field(
        description="Calls, tasks and money of the day; of agents and stored bytes the most of the day.",
        examples=["412"],
    )


class UsageTotal(BaseModel):
    """What was used of a resource in the month."""

    organization_id: str = Field(description="Whose.", examples=["0199b6ff-b66f-7000-8000-000000000002"])
    resource: Resource = Field(description="What.", examples=["tasks"])
    amount: Amount = Field(description="The sum; of agents and stored bytes the most of the month.", examples=["9211"])


class UsageReport(BaseModel):
    """A month's usage."""

    month: str = Field(description="The UTC month.", examples=["2026-11"])
    totals: list[UsageTotal] = Field(description="By organization and resource.")
    days: list[UsageDay] = Field(description="By organization, day and resource.")


class QuotaItem(BaseModel):
    """A resource, its bounds, and what is used of it."""

    resource: Resource = Field(description="What.", examples=["tasks"])
    soft: Amount | None = Field(description="Reaching it is told; null: no such limit.", examples=["8000"])
    hard: Amount | None = Field(description="Beyond it is refused; null: no such limit.", examples=["10000"])
    origin: Literal["plan", "organization", "none"] = Field(description="Who set it.", examples=["plan"])
    used: Amount = Field(description="Used of it now.", examples=["9211"])
    month: date | None = Field(
        description="First day of the UTC month that is counted; null for what there is at a moment.",
        examples=["2026-11-01"],
    )
    state: Literal["below", "soft", "hard"] = Field(description="Which limit is reached.", examples=["soft"])


class RateItem(BaseModel):
    """How fast somebody may ask."""

    per_minute: int = Field(ge=1, le=MAX_PER_MINUTE, description="Requests per minute, lastingly.", examples=[600])
    burst: int = Field(ge=1, le=MAX_PER_MINUTE, description="Requests at once after a quiet time.", examples=[120])


class Quotas(BaseModel):
    """Everything that bounds an organization."""

    organization_id: str = Field(description="Whose.", examples=["0199b6ff-b66f-7000-8000-000000000002"])
    plan: str = Field(description="Its plan.", examples=["unlimited"])
    quotas: list[QuotaItem] = Field(description="Every resource.")
    rates: dict[Scope, RateItem | None] = Field(description="Of each key, each user, and the whole organization.")


class Limits(Body):
    """The limits of a resource; both null lift what the plan says."""

    soft: Bounded | None = Field(default=None, description="Reaching it is told.", examples=[8000])
    hard: Bounded | None = Field(default=None, description="Beyond it is refused.", examples=[10000])


class RateLimits(Body):
    """A rate; both null lift what the plan says."""

    per_minute: int | None = Field(
        default=None, ge=1, le=MAX_PER_MINUTE, description="Requests per minute.", examples=[600]
    )
    burst: int | None = Field(
        default=None, ge=1, le=MAX_PER_MINUTE, description="At once; as many as per minute if left out.", examples=[120]
    )


class Assignment(Body):
    """The plan an organization is put on."""

    plan: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="The plan's name.", examples=["starter"])


class PlanBody(Body):
    """What a plan gives."""

    description: str = Field(default="", max_length=500, description="For people.", examples=["For small teams"])
    quotas: dict[Resource, Limits] = Field(
        default_factory=dict, description="Limits by resource; one that is not named is not bounded.",
        examples=[{"tasks": {"soft": 8000, "hard": 10000}}],
    )  # fmt: skip
    rates: dict[Scope, RateItem | None] = Field(
        default_factory=dict, description="Rates; one that is not named is the default, null is no limit.",
        examples=[{"key": {"per_minute": 600, "burst": 120}}],
    )  # fmt: skip


class PlanView(PlanBody):
    """A plan."""

    name: str = Field(description="Its name.", examples=["starter"])
    created_at: datetime = Field(description="When it was made (UTC).", examples=["2026-11-20T09:30:00Z"])
    updated_at: datetime = Field(description="When it was last changed (UTC).", examples=["2026-11-20T09:30:00Z"])


class PlanList(BaseModel):
    """All plans; there are few, so they come at once."""

    items: list[PlanView] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null.")


@usage.get(
    "",
    summary="Usage of a month",
    dependencies=[Needs("quotas:read")],
    response_model=UsageReport,
    responses=_CSV | problems(404),
)
async def get_usage(platform: Platform, organization: Tenant, month: Month = None, format: Format = "json") -> Any:
    """Return what the organization used on each UTC day of a month, for billing."""
    return await _report(platform, month, format, organization.id)


@usage.get("/organizations", summary="Usage of all organizations", response_model=UsageReport, responses=_CSV)
async def get_all_usage(platform: Platform, _: Admin, month: Month = None, format: Format = "json") -> Any:
    """Return what every organization used in a month; for administrators of the installation."""
    return await _report(platform, month, format, None)


@quotas.get("", summary="Plan, quotas and rates", dependencies=[Needs("quotas:read")], responses=problems(404))
async def get_quotas(platform: Platform, organization: Tenant) -> Quotas:
    """Return what bounds the organization and what is used of it; API calls up to a few seconds ago."""
    return _quotas(await platform.quotas.show(organization.id))


@quotas.put("", summary="Put an organization on a plan", responses=problems(404, 409))
async def assign_plan(platform: Platform, _: Admin, organization: Tenant, actor: Acting, body: Assignment) -> Quotas:
    """Give the organization another plan; what is set for it alone stays. For administrators."""
    return _quotas(await platform.quotas.assign(organization.id, body.plan, actor=actor))


@quotas.put("/{resource}", summary="Bound a resource", responses=problems(404, 409))
async def set_quota(
    platform: Platform, _: Admin, organization: Tenant, actor: Acting, resource: ResourceName, body: Limits
) -> Quotas:
    """Bound a resource of the organization beside its plan; for administrators of the installation."""
    bound = Bound(body.soft, body.hard)
    return _quotas(await platform.quotas.set(organization.id, resource, bound, actor=actor))


@quotas.delete("/{resource}", summary="Return a resource to the plan", responses=problems(404))
async def reset_quota(
    platform: Platform, _: Admin, organization: Tenant, actor: Acting, resource: ResourceName
) -> Quotas:
    """Take back what was set for the organization alone; for administrators of the installation."""
    return _quotas(await platform.quotas.set(organization.id, resource, None, actor=actor))


@quotas.put("/rates/{scope}", summary="Bound a rate", responses=problems(404))
async def set_rate(
    platform: Platform, _: Admin, organization: Tenant, actor: Acting, scope: ScopeName, body: RateLimits
) -> Quotas:
    """Set how fast the organization, each of its keys or users may ask; for administrators."""
    rate: Rate | Literal["unlimited"] = "unlimited"
    if body.per_minute is not None:
        rate = Rate(body.per_minute, body.burst or body.per_minute)
    return _quotas(await platform.quotas.set_rate(organization.id, scope, rate, actor=actor))


@plans.get("", summary="List plans")
async def list_plans(platform: Platform, _: Admin) -> PlanList:
    """Return every plan; for administrators of the installation."""
    return PlanList(items=[_plan(plan) for plan in await platform.plans.list()])


@plans.put("/{name}", summary="Make or replace a plan", responses=problems(409))
async def put_plan(platform: Platform, _: Admin, actor: Acting, name: PlanName, body: PlanBody) -> PlanView:
    """Make a plan or replace it whole; organizations on it are bound by it at once."""
    made = await platform.plans.put(
        name,
        description=body.description,
        quotas={resource: Bound(limits.soft, limits.hard) for resource, limits in body.quotas.items()},
        rates={
            scope: None if rate is None else Rate(rate.per_minute, rate.burst) for scope, rate in body.rates.items()
        },
        actor=actor,
    )
    return _plan(made)


@plans.delete("/{name}", status_code=204, summary="Remove a plan", responses=problems(404, 409))
async def remove_plan(platform: Platform, _: Admin, actor: Acting, name: PlanName) -> None:
    """Remove a plan that no organization has."""
    await platform.plans.remove(name, actor=actor)


async def _report(platform: Platform, month: str | None, form: str, organization_id: str | None) -> Any:
    first = month_of(month)
    # What this process has counted and not yet written belongs to the answer.
    await platform.metering.report()
    days: list[Usage] = await platform.metering.days(first, organization_id=organization_id)
    if form == "csv":
        name = f"usage-{first:%Y-%m}.csv"
        return Response(
            as_csv(days), media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
        )
    return UsageReport(
        month=f"{first:%Y-%m}",
        totals=[UsageTotal.model_validate(total) for total in month_totals(days)],
        days=[UsageDay.model_validate(day, from_attributes=True) for day in days],
    )


def _quotas(view: QuotaView) -> Quotas:
    return Quotas.model_validate(view, from_attributes=True)


def _plan(plan: Plan) -> PlanView:
    return PlanView(
        name=plan.name, description=plan.description, created_at=plan.created_at, updated_at=plan.updated_at,
        quotas={resource: Limits(soft=bound.soft, hard=bound.hard) for resource, bound in plan.quotas.items()},
        rates={
            scope: None if rate is None else RateItem(per_minute=rate.per_minute, burst=rate.burst)
            for scope, rate in plan.rates.items()
        },
    )  # fmt: skip
