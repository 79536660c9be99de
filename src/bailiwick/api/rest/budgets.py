"""Budgets: how much money or how many tokens may be spent, and what happens at the limit."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, PlainSerializer

from bailiwick.api.access import Acting, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.pages import problems
from bailiwick.authority.budgets import DEFAULT_LADDER, Account, Budget, NewBudget, Rung
from bailiwick.authority.budgets.model import Deed, Period, Scope, Unit, plain
from bailiwick.installation import Installation

router = APIRouter(prefix="/budgets", tags=["budgets"])

# As text, so that no digit of money is lost on the way.
Amount = Annotated[Decimal, PlainSerializer(plain, return_type=str)]
Bounded = Annotated[Decimal, Field(ge=0, lt=10**12, decimal_places=6, allow_inf_nan=False)]
Name = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="The budget's name.", examples=["daily-agents"])
]
_AGENT_ID = "0199b6ff-b66f-7000-8000-000000000003"


class RungItem(Body):
    """What happens from a share of the amount on."""

    at: Annotated[Decimal, Field(gt=0, le=100, decimal_places=6, allow_inf_nan=False), PlainSerializer(plain)] = Field(
        description="The share: 0.8 is 80 %.", examples=["0.8"]
    )
    do: Deed = Field(description="`tell` of it, `ask` a person from here on, or `stop` here.", examples=["tell"])


class AccountItem(BaseModel):
    """What one holder reserved and spent in the present period."""

    holder: str = Field(description="The organization, agent or run.", examples=[_AGENT_ID])
    began_at: datetime | None = Field(description="Begin of the period (UTC); null for the life of a run.")
    ends_at: datetime | None = Field(description="End of the period (UTC); null for the life of a run.")
    reserved: Amount = Field(description="For calls under way.", examples=["1.5"])
    settled: Amount = Field(description="Spent.", examples=["7.25"])


class HeldItem(BaseModel):
    """A reservation that is neither settled nor released."""

    key: str = Field(description="The effect it is for, most often.", examples=["0199b6ff-b66f-7000-8000-000000000009"])
    agent_id: str | None = Field(description="Which agent spends.", examples=[_AGENT_ID])
    task_id: str | None = Field(description="In which run.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    amount: Amount = Field(description="How much is reserved.", examples=["1.5"])
    reserved_at: datetime = Field(description="Since when (UTC).")


class BudgetItem(BaseModel):
    """A budget."""

    name: str = Field(description="Its name.", examples=["daily-agents"])
    scope: Scope = Field(description="Whose spending it bounds.", examples=["agent"])
    subject: str | None = Field(description="The one agent or run; null: each has as much.", examples=[None])
    unit: Unit = Field(description="What is counted.", examples=["money"])
    period: Period = Field(description="How long it is for; a run has its whole life.", examples=["day"])
    zone: str = Field(description="Time zone in which days and months begin.", examples=["UTC"])
    amount: Amount = Field(description="How much.", examples=["10"])
    ladder: list[RungItem] = Field(description="What happens on the way to it and beyond, rising.")
    created_at: datetime = Field(description="When it was made (UTC).")
    updated_at: datetime = Field(description="When it was changed last (UTC).")


class BudgetView(BudgetItem):
    """A budget, and what is spent of it."""

    accounts: list[AccountItem] = Field(description="In the present period, the most used first; at most 100.")
    held: list[HeldItem] = Field(description="What is reserved now, the oldest first; at most 100.")


class BudgetList(BaseModel):
    """All budgets of an organization; there are few, so they come at once."""

    items: list[BudgetItem] = Field(description="By name.")
    next_cursor: None = Field(default=None, description="Always null.")


class BudgetBody(Body):
    """What a budget says."""

    scope: Scope = Field(description="Whose spending it bounds.", examples=["agent"])
    unit: Unit = Field(default="money", description="What is counted.", examples=["money"])
    period: Period = Field(description="`day` or `month`; `life` for a run.", examples=["day"])
    amount: Bounded = Field(description="How much.", examples=["10"])
    subject: str | None = Field(
        default=None, max_length=100, description="The one agent or run; left out: each has as much.", examples=[None]
    )
    zone: str = Field(
        default="UTC", max_length=64, description="Time zone in which days and months begin.", examples=["UTC"]
    )
    ladder: list[RungItem] | None = Field(
        default=None, max_length=10, description="Rising; the last one stops or asks. Left out: tell at 0.8, ask "
        "at 1, stop at 1.2.", examples=[[{"at": "0.8", "do": "tell"}, {"at": "1", "do": "stop"}]],
    )  # fmt: skip


@router.get("", summary="List budgets", responses=problems(404), dependencies=[Needs("budgets:read")])
async def list_budgets(platform: Platform, organization: Tenant) -> BudgetList:
    """Return every budget of the organization."""
    found = await platform.budgets.list(organization.id)
    return BudgetList(items=[BudgetItem.model_validate(one, from_attributes=True) for one in found])


@router.get("/{name}", summary="Show a budget", responses=problems(404), dependencies=[Needs("budgets:read")])
async def get_budget(platform: Platform, organization: Tenant, name: Name) -> BudgetView:
    """Return a budget with what is reserved and spent of it in the present period."""
    return await _view(platform, organization.id, await platform.budgets.get(organization.id, name))


@router.put(
    "/{name}", summary="Make or replace a budget", responses=problems(404), dependencies=[Needs("budgets:write")]
)
async def put_budget(
    platform: Platform, organization: Tenant, actor: Acting, name: Name, body: BudgetBody
) -> BudgetView:
    """Make a budget, or replace the one of its name whole; what was spent before in the period counts."""
    ladder: Sequence[Rung] = DEFAULT_LADDER
    if body.ladder is not None:
        ladder = tuple(Rung(rung.at, rung.do) for rung in body.ladder)
    subject = body.subject
    if subject is not None and body.scope == "agent":
        subject = (await platform.directory.get(organization.id, subject)).id
    wanted = NewBudget(name, body.scope, body.unit, body.amount, body.period, subject, body.zone, ladder)
    return await _view(platform, organization.id, await platform.budgets.set(organization.id, wanted, actor=actor))


@router.delete(
    "/{name}", status_code=204, summary="Remove a budget", responses=problems(404),
    dependencies=[Needs("budgets:write")],
)  # fmt: skip
async def remove_budget(platform: Platform, organization: Tenant, actor: Acting, name: Name) -> None:
    """Remove a budget; it bounds nothing from now on."""
    await platform.budgets.remove(organization.id, name, actor=actor)


async def _view(platform: Installation, organization_id: str, budget: Budget) -> BudgetView:
    accounts: list[Account] = await platform.budgets.accounts(organization_id, name=budget.name)
    held = await platform.budgets.held(organization_id, name=budget.name)
    item = BudgetItem.model_validate(budget, from_attributes=True)
    return BudgetView(
        **item.model_dump(),
        accounts=[AccountItem.model_validate(one, from_attributes=True) for one in accounts],
        held=[HeldItem.model_validate(one, from_attributes=True) for one in held],
    )
