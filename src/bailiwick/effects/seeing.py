"""What a tool sees before it does anything: the call as it is kept, its target, its price and the target's state."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel

from bailiwick.effects.moves import kept
from bailiwick.effects.tool import Call, Tool
from bailiwick.kernel.errors import BailiwickError


@dataclass(frozen=True, slots=True)
class Seen:
    """A call with everything a digest is made of; ``arguments`` and ``observed`` as they are kept, without secrets."""

    tool: Tool[Any]
    call: Call[Any]
    arguments: dict[str, Any]
    target: str
    price: Decimal
    observed: Any
    # Why the target cannot be seen, where it cannot.
    problem: str | None = None


async def look(tool: Tool[Any], arguments: BaseModel, organization_id: str, *, key: str, since: datetime) -> Seen:
    """Return what there is now, without changing anything.

    A read is not observed first: it would be the same read twice.

    Raises:
        BailiwickError: a retryable one; the target cannot be seen at this moment.
    """
    call: Call[Any] = Call(organization_id, arguments, key, since)
    observed, problem = None, None
    if tool.effect_class != "read":
        try:
            async with asyncio.timeout(tool.timeout_seconds):
                observed = plain((await tool.observe(call)).state)
        except BailiwickError as error:
            if error.retryable:
                raise
            problem = f"the target cannot be seen: {error}"
    return Seen(tool, call, plain(arguments), tool.target(arguments), tool.price(arguments), observed, problem)


def plain(value: object) -> Any:
    """Return a value as JSON gives it back after it was kept."""
    return orjson.loads(kept(value))
