"""Plans and what differs from them."""

from decimal import Decimal

import pytest

from bailiwick.audit import SYSTEM
from bailiwick.identity.quotas import Bound, Rate
from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from tests.integration.identity.quotas.conftest import Site


async def test_a_plan_holds_for_everybody_on_it_and_an_own_setting_beside_it(site: Site) -> None:
    plans, quotas = site.installation.plans, site.installation.quotas
    tasks = {"tasks": Bound(Decimal(3), Decimal(5))}
    await plans.put("starter", quotas=tasks, rates={"key": Rate(60, 10)}, actor=SYSTEM)  # type: ignore[arg-type]
    view = await quotas.assign(site.acme.id, "starter", actor=SYSTEM)
    assert next(quota for quota in view.quotas if quota.resource == "tasks").origin == "plan"
    assert view.rates["key"] == Rate(60, 10)
    assert view.rates["user"] == Rate(600, 120)
    assert await site.add(9) == 5
    site.forget_refusals()
    await plans.put("starter", quotas={"tasks": Bound(None, Decimal(7))}, rates={}, actor=SYSTEM)
    assert await site.add(9) == 2
    site.forget_refusals()
    await quotas.set(site.acme.id, "tasks", Bound(), actor=SYSTEM)
    assert await site.add(9) == 9
    view = await quotas.set(site.acme.id, "tasks", None, actor=SYSTEM)
    assert next(quota for quota in view.quotas if quota.resource == "tasks").state == "hard"
    with pytest.raises(ConflictError, match="bailiwick quotas assign"):
        await plans.remove("starter", actor=SYSTEM)
    await quotas.assign(site.acme.id, "unlimited", actor=SYSTEM)
    await plans.remove("starter", actor=SYSTEM)
    with pytest.raises(NotFoundError, match="unlimited"):
        await quotas.assign(site.acme.id, "starter", actor=SYSTEM)
    actions = {entry.action for entry in (await site.installation.audit.list(site.acme.id, limit=100)).items}
    assert {"quota.plan_assigned", "quota.changed"} <= actions


async def test_the_unlimited_plan_stays_unlimited(site: Site) -> None:
    plans = site.installation.plans
    with pytest.raises(InvalidInputError, match="another name"):
        await plans.put("unlimited", quotas={"tasks": Bound(hard=Decimal(1))}, rates={}, actor=SYSTEM)
    with pytest.raises(ConflictError):
        await plans.remove("unlimited", actor=SYSTEM)
    with pytest.raises(InvalidInputError, match="lower-case"):
        await plans.put("No Name", quotas={}, rates={}, actor=SYSTEM)


async def test_a_rate_of_its_own_is_the_organizations(site: Site) -> None:
    view = await site.installation.quotas.set_rate(site.acme.id, "key", Rate(5, 2), actor=SYSTEM)
    assert view.rates["key"] == Rate(5, 2)
    view = await site.installation.quotas.set_rate(site.acme.id, "key", "unlimited", actor=SYSTEM)
    assert view.rates["key"] is None
    view = await site.installation.quotas.set_rate(site.acme.id, "key", None, actor=SYSTEM)
    assert view.rates["key"] == Rate(600, 120)
