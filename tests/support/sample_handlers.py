"""Handlers of which journals are recorded; they use every durable call."""

from typing import Any

from bailiwick.events import NewEvent
from bailiwick.tasks import Run
from tests.support.engine import AnyPayload


async def order(run: Run, payload: AnyPayload) -> dict[str, Any]:
    """Price an order, ask its suppliers, wait for the payment, ship."""
    prices = [await run.step(f"price {item}", len, item) for item in payload.items]
    asked = [await run.spawn("ask supplier", {"item": item}) for item in payload.items]
    offers = await run.gather(asked)
    await run.publish(NewEvent("order.priced", {"total": sum(prices)}, key=run.task.id))
    paid = await run.wait_for("order.paid", key=run.task.id, timeout_seconds=60)
    if paid is None:
        return {"state": "lapsed", "total": sum(prices)}
    if await run.patched("insure"):
        await run.step("insure", str, "insured")
    await run.sleep(0.001)
    shipped = await run.step("ship", str.upper, payload.items[0])
    return {"state": shipped, "total": sum(prices), "offers": [offer.result for offer in offers]}


async def ask_supplier(run: Run, payload: AnyPayload) -> str:
    """Answer with an offer."""
    return await run.step("offer", str.title, payload.item)
