"""Quotas: what bounds each organization, and the ledger of what it spends on models."""

from decimal import Decimal
from typing import Any, Literal

import orjson

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.quotas.model import (
    MONTHLY,
    RESOURCES,
    SCOPES,
    Bound,
    Quota,
    QuotaView,
    Rate,
    Resource,
    Scope,
    checked_bound,
    checked_rate,
    checked_resource,
    following_month,
    month_of,
    quotas_document,
    rates_document,
    read_quotas,
    read_rates,
)
from bailiwick.identity.quotas.plans import UNLIMITED, Plans
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage import Database
from bailiwick.storage.refusals import quota_exceeded

_OWN = """
insert into organization_plans as o (organization_id, plan, quotas, rates)
values (%(org)s, coalesce(%(plan)s, 'unlimited'), '{}', '{}')
on conflict (organization_id) do update set plan = coalesce(%(plan)s, o.plan)
returning plan, quotas, rates"""


class Quotas:
    """What organizations may use. Changes hold from the moment the call returns, for every process."""

    def __init__(self, database: Database, plans: Plans, audit: AuditLog) -> None:
        self._database = database
        self._plans = plans
        self._audit = audit

    async def show(self, organization_id: str) -> QuotaView:
        """Return an organization's plan, its bounds and what is used of them, and its rates.

        API calls counted in processes are included up to a few seconds ago.
        """
        row = await self._database.fetch_one(
            "select plan, quotas, rates from organization_plans where organization_id = %s",
            (organization_id,),
            organization_id=organization_id,
        )
        own: dict[str, Any] = row or {"plan": UNLIMITED, "quotas": {}, "rates": {}}
        plan = await self._plans.get(own["plan"])
        default = plan if plan.name == UNLIMITED else await self._plans.get(UNLIMITED)
        own_bounds = read_quotas(own["quotas"])
        used = await self._used(organization_id)
        quotas: list[Quota] = []
        for resource in RESOURCES:
            bound = own_bounds.get(resource, plan.quotas.get(resource))
            origin: Literal["plan", "organization", "none"] = "none" if bound is None else "plan"
            quotas.append(
                _quota(resource, bound or Bound(), "organization" if resource in own_bounds else origin, used)
            )
        rates = {**default.rates, **plan.rates, **read_rates(own["rates"])}
        return QuotaView(organization_id, plan.name, quotas, {scope: rates.get(scope) for scope in SCOPES})

    async def assign(self, organization_id: str, plan: str, *, actor: Actor) -> QuotaView:
        """Put an organization on a plan; its own settings stay. NotFoundError if there is no such plan."""
        await self._plans.get(plan)
        await self._change(organization_id, {"plan": plan}, "quota.plan_assigned", actor)
        return await self.show(organization_id)

    async def set(self, organization_id: str, resource: str, bound: Bound | None, *, actor: Actor) -> QuotaView:
        """Bound a resource of one organization beside its plan; None returns it to the plan.

        A bound without limits lifts what the plan says. What was used before in
        the month counts.

        Raises:
            InvalidInputError: no such resource, or a limit that cannot hold.
        """
        known = checked_resource(resource)
        document = None if bound is None else quotas_document({known: checked_bound(known, bound)})[known]
        await self._change(organization_id, {"quotas": {known: document}}, "quota.changed", actor)
        return await self.show(organization_id)

    async def set_rate(
        self, organization_id: str, scope: Scope, rate: Rate | Literal["unlimited"] | None, *, actor: Actor
    ) -> QuotaView:
        """Set how fast an organization, each of its keys or of its users may ask; None returns to the plan.

        Processes follow within a second.
        """
        lifted = rate == "unlimited"
        wanted = checked_rate(scope, None if isinstance(rate, str) else rate)
        document = rates_document({scope: wanted})[scope]
        await self._change(organization_id, {"rates": {scope: document}, "lifted": lifted}, "quota.rate_changed", actor)
        return await self.show(organization_id)

    async def spend(self, organization_id: str, amount: Decimal) -> None:
        """Count money that is about to be spent on models, durably and atomically.

        What runs are charged (``run.charge``) counts by itself; do not count it
        here again.

        Raises:
            QuotaExceededError: the month's spend would exceed the hard limit; nothing was counted.
            InvalidInputError: the amount is negative or no number.
        """
        if not amount.is_finite() or amount < 0:
            raise InvalidInputError("an amount of money spent is a number of 0 or more")
        row = await self._database.fetch_one("select quota_spend(%s, %s) as is_counted", (organization_id, amount))
        if row is None or not row["is_counted"]:
            raise await self._exceeded(organization_id, "model_spend")

    async def check(self, organization_id: str, resource: Resource) -> None:
        """Raise QuotaExceededError if the hard limit of a resource is reached; counts nothing."""
        row = await self._database.fetch_one(
            "select 1 as one from quotas where organization_id = %s and resource = %s and used >= hard_limit "
            "and (resource in ('agents', 'storage_bytes') or month = usage_month(now()))",
            (organization_id, resource),
            organization_id=organization_id,
        )
        if row is not None:
            raise await self._exceeded(organization_id, resource)

    async def _exceeded(self, organization_id: str, resource: Resource) -> Exception:
        row = await self._database.fetch_one(
            "select used, hard_limit from quotas where organization_id = %s and resource = %s",
            (organization_id, resource),
            organization_id=organization_id,
        )
        found = row or {"used": None, "hard_limit": None}
        return quota_exceeded(organization_id, resource, found["used"], found["hard_limit"])

    async def _change(self, organization_id: str, change: dict[str, Any], action: str, actor: Actor) -> None:
        async with self._database.transaction(organization_id) as connection:
            read = await connection.execute(
                "select plan, quotas, rates from organization_plans where organization_id = %s for update",
                (organization_id,),
            )
            before = await read.fetchone()
            made = await connection.execute(_OWN, {"org": organization_id, "plan": change.get("plan")})
            after = await made.fetchone()
            assert after is not None
            _merge(after["quotas"], change.get("quotas", {}), keep_null=False)
            _merge(after["rates"], change.get("rates", {}), keep_null=change.get("lifted", False))
            await connection.execute(
                "update organization_plans set quotas = %s::jsonb, rates = %s::jsonb where organization_id = %s",
                (orjson.dumps(after["quotas"]).decode(), orjson.dumps(after["rates"]).decode(), organization_id),
            )
            await connection.execute("select quota_apply(%s)", (organization_id,))
            await self._audit.record(
                Act(
                    organization_id, action, actor, f"organization:{organization_id}",
                    before=before or {"plan": UNLIMITED, "quotas": {}, "rates": {}}, after=after,
                ),
                connection=connection,
            )  # fmt: skip

    async def _used(self, organization_id: str) -> dict[str, Decimal]:
        month = month_of()
        rows = await self._database.fetch_all(
            "select resource, sum(amount) as used from usage_between(%(org)s, %(month)s, %(next)s) "
            "where resource in ('api_calls', 'tasks', 'model_spend') group by resource "
            "union all select 'agents', count(*) from agents where organization_id = %(org)s "
            "union all (select 'storage_bytes', amount from usage_days where organization_id = %(org)s "
            "and resource = 'storage_bytes' order by day desc limit 1)",
            {"org": organization_id, "month": month, "next": following_month(month)},
            organization_id=organization_id,
        )
        return {row["resource"]: Decimal(row["used"]) for row in rows}


def _quota(
    resource: Resource,
    bound: Bound,
    origin: Literal["plan", "organization", "none"],
    used: dict[str, Decimal],
) -> Quota:
    amount = used.get(resource, Decimal(0))
    state: Literal["below", "soft", "hard"] = "below"
    if bound.soft is not None and amount >= bound.soft:
        state = "soft"
    if bound.hard is not None and amount >= bound.hard:
        state = "hard"
    return Quota(resource, bound.soft, bound.hard, origin, amount, month_of() if resource in MONTHLY else None, state)


def _merge(settings: dict[str, Any], change: dict[str, Any], *, keep_null: bool) -> None:
    for name, value in change.items():
        if value is None and not keep_null:
            settings.pop(name, None)
        else:
            settings[name] = value
