"""Plans: named sets of quotas and rates."""

from collections.abc import Mapping
from typing import Any

import psycopg

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.quotas.model import (
    Bound,
    Plan,
    Rate,
    Resource,
    Scope,
    checked_bound,
    checked_rate,
    checked_resource,
    quotas_document,
    rates_document,
    read_quotas,
    read_rates,
)
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database, Row

UNLIMITED = "unlimited"
_COLUMNS = "name, description, quotas, rates, created_at, updated_at"
_MAX_DESCRIPTION = 500


class Plans:
    """The plans of this installation; ``unlimited`` is always there and bounds no resource."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def list(self) -> list[Plan]:
        """Return all plans by name; there are few."""
        rows = await self._database.fetch_all(f"select {_COLUMNS} from plans order by name")
        return [_plan(row) for row in rows]

    async def get(self, name: str) -> Plan:
        """Return a plan, or raise NotFoundError naming those there are."""
        row = await self._database.fetch_one(f"select {_COLUMNS} from plans where name = %s", (name,))
        if row is None:
            known = ", ".join(plan.name for plan in await self.list())
            raise NotFoundError(f"no plan {name!r}; there are: {known}")
        return _plan(row)

    async def put(
        self,
        name: str,
        *,
        description: str = "",
        quotas: Mapping[Resource, Bound],
        rates: Mapping[Scope, Rate | None],
        actor: Actor,
    ) -> Plan:
        """Make a plan or replace it whole; organizations on it are bound by it when this returns.

        What they used in the month before counts.

        Raises:
            InvalidInputError: a value cannot hold, or ``unlimited`` would get quotas.
        """
        if name == UNLIMITED and quotas:
            raise InvalidInputError("the plan 'unlimited' has no quotas; make a plan of another name and assign that")
        if len(description) > _MAX_DESCRIPTION:
            raise InvalidInputError(f"a plan's description has at most {_MAX_DESCRIPTION} characters")
        bounds: dict[Resource, Bound] = {
            checked_resource(resource): checked_bound(resource, bound) for resource, bound in quotas.items()
        }
        speeds: dict[Scope, Rate | None] = {scope: checked_rate(scope, rate) for scope, rate in rates.items()}
        after: dict[str, Any] = {
            "quotas": quotas_document(bounds), "rates": rates_document(speeds), "description": description
        }  # fmt: skip
        async with self._database.transaction(INSTALLATION) as connection:
            found = await connection.execute(
                "select description, quotas, rates from plans where name = %s for update", (name,)
            )
            before = await found.fetchone()
            try:
                await connection.execute(
                    "insert into plans (name, description, quotas, rates) values (%s, %s, %s::jsonb, %s::jsonb) "
                    "on conflict (name) do update set description = excluded.description, quotas = excluded.quotas, "
                    "rates = excluded.rates, updated_at = now()",
                    (name, description, _json(after["quotas"]), _json(after["rates"])),
                )
            except psycopg.errors.CheckViolation as error:
                raise InvalidInputError(
                    f"plan name {name!r}: use lower-case letters, digits and hyphens, at most 63"
                ) from error
            await connection.execute("select plan_apply(%s)", (name,))
            act = "plan.created" if before is None else "plan.changed"
            await self._audit.record(
                Act(INSTALLATION, act, actor, f"plan:{name}", before=before, after=after), connection=connection
            )
        return await self.get(name)

    async def remove(self, name: str, *, actor: Actor) -> None:
        """Remove a plan that no organization has.

        Raises:
            NotFoundError: there is none.
            ConflictError: it is in use, or it is ``unlimited``.
        """
        if name == UNLIMITED:
            raise ConflictError("the plan 'unlimited' cannot be removed: every organization without a plan has it")
        await self.get(name)
        try:
            async with self._database.transaction(INSTALLATION) as connection:
                await connection.execute("delete from plans where name = %s", (name,))
                await self._audit.record(
                    Act(INSTALLATION, "plan.removed", actor, f"plan:{name}"), connection=connection
                )
        except psycopg.errors.ForeignKeyViolation as error:
            raise ConflictError(
                f"organizations are on the plan {name!r}; give them another with 'bailiwick quotas assign' first"
            ) from error


def _plan(row: Row) -> Plan:
    return Plan(
        row["name"], row["description"], read_quotas(row["quotas"]), read_rates(row["rates"]),
        row["created_at"], row["updated_at"],
    )  # fmt: skip


def _json(document: Mapping[str, Any]) -> str:
    return encode(document, what="a plan").decode()
