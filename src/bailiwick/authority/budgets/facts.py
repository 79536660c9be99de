"""The event that tells of a reached rung."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from bailiwick.events import EventType, NewEvent

BUDGET_REACHED = "budget.reached"


class BudgetReached(BaseModel):
    """A rung of a budget was reached for the first time in a period."""

    budget: str = Field(description="The budget's name.", examples=["daily"])
    scope: str = Field(description="Whose spending it bounds: organization, agent or run.", examples=["agent"])
    holder: str = Field(description="The organization, agent or run whose spending reached it.")
    unit: str = Field(examples=["money"])
    period: str = Field(examples=["day"])
    began_at: datetime | None = Field(description="When the period began; null for the life of a run.")
    at: Decimal = Field(description="The rung's share of the amount.", examples=["0.8"])
    do: str = Field(description="What happens from there on: tell, ask or stop.", examples=["tell"])
    line: Decimal = Field(description="The amount at which the rung stands.", examples=["8"])
    limit: Decimal = Field(description="The budget's amount.", examples=["10"])
    used: Decimal = Field(description="What was spent or reserved then.", examples=["8.4"])


TYPE = EventType(BUDGET_REACHED, 1, BudgetReached, key=lambda reached: reached.budget, is_internal=True)


def reached_event(found: dict[str, Any]) -> NewEvent:
    """Return the event of a rung that the database noted."""
    reached = BudgetReached.model_validate(found)
    return NewEvent(BUDGET_REACHED, reached, key=reached.budget)
