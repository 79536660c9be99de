"""What tools see, before and after they do anything. Nothing here changes anything."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import structlog
from pydantic import BaseModel

from bailiwick.effects.model import UNSEEN, Verdict
from bailiwick.effects.moves import kept
from bailiwick.effects.tool import Call, Tool
from bailiwick.kernel.errors import BailiwickError

log = structlog.get_logger(__name__)

# The clocks of two machines may differ, and an answer be on its way.
_MARGIN = timedelta(seconds=1)


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
            problem = f"{UNSEEN}: {error}"
    return Seen(tool, call, plain(arguments), tool.target(arguments), tool.price(arguments), observed, problem)


async def find_earlier(tool: Tool[Any], call: Call[Any], called_at: datetime | None) -> Any | None:
    """Return the result of an earlier call, or None if it took no effect and can no longer do so.

    Waits for the end of the time that the call had: before it, it may still be
    under way in a worker that is only believed dead.
    """
    found = await _find(tool, call)
    remaining = seconds_under_way(tool, called_at)
    if found is not None or remaining <= 0:
        return found
    await asyncio.sleep(remaining)
    return await _find(tool, call)


def seconds_under_way(tool: Tool[Any], called_at: datetime | None) -> float:
    """Return for how many seconds yet a call begun then may be under way; 0 or less: it is over."""
    if called_at is None:
        return 0.0
    return (called_at + timedelta(seconds=tool.timeout_seconds) + _MARGIN - datetime.now(UTC)).total_seconds()


async def verdict_of(tool: Tool[Any], call: Call[Any], result: Any) -> Verdict:
    """Return what the tool sees of what it did; that it cannot look is a verdict, too."""
    try:
        async with asyncio.timeout(tool.timeout_seconds):
            return await tool.verify(call, result)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from looking, what was done is done
        log.warning("effect not verified", effect_id=call.key, tool=tool.name, error=repr(error))
        return Verdict("unverifiable", {"error": str(error) or type(error).__name__})


async def _find(tool: Tool[Any], call: Call[Any]) -> Any | None:
    async with asyncio.timeout(tool.timeout_seconds):
        return await tool.find(call)


def plain(value: object) -> Any:
    """Return a value as JSON gives it back after it was kept."""
    return orjson.loads(kept(value))
