"""What the database refuses by rules of ours, told as errors of ours."""

import time
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import psycopg

from bailiwick.kernel.errors import BailiwickError, QuotaExceededError

_OVER_QUOTA = "BW402"
_MEMORY_SECONDS = 1.0
_MEMORY_SIZE = 10_000
_MONTHLY = ("api_calls", "tasks", "model_spend")


def refusal_of(error: BaseException) -> BailiwickError | None:
    """Return what a door says to an error that a rule in the database raised, or None if it is no such error."""
    if not isinstance(error, psycopg.Error) or error.sqlstate != _OVER_QUOTA:
        return None
    found = orjson.loads(error.diag.message_detail or "{}")
    return quota_exceeded(
        found["organization_id"], found["resource"], Decimal(str(found["used"])), Decimal(str(found["hard_limit"]))
    )


def quota_exceeded(
    organization_id: str, resource: str, used: Decimal | None, hard_limit: Decimal | None
) -> QuotaExceededError:
    """Return the error of a quota that is used up, with what to do about it."""
    what = "the quota" if hard_limit is None else f"the quota of {hard_limit:,.6f}".rstrip("0").rstrip(".")
    so_far = "" if used is None else f" ({used:,.6f}".rstrip("0").rstrip(".") + " used)"
    remedy = (
        f"begins anew on {_next_month():%Y-%m-%d} UTC" if resource in _MONTHLY else "has room when some are removed"
    )
    return QuotaExceededError(
        f"{what} of {resource} is used up{so_far}; it {remedy}, or an administrator raises it with "
        f"'bailiwick quotas set {resource} --hard N'",
        organization_id=organization_id,
        resource=resource,
    )


class Exhausted:
    """Remembers for a second which organizations a quota refused.

    Their next calls are refused without asking: in a batch each would cost
    everybody else in it another round trip.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[str, tuple[float, QuotaExceededError]] = OrderedDict()

    def note(self, error: BaseException) -> None:
        """Remember a refusal; other errors say nothing."""
        if isinstance(error, QuotaExceededError):
            self._until[error.organization_id] = (time.monotonic() + _MEMORY_SECONDS, error)
            if len(self._until) > _MEMORY_SIZE:
                self._until.popitem(last=False)

    def check(self, organization_id: str) -> None:
        """Raise QuotaExceededError for an organization that was refused a moment ago."""
        found = self._until.get(organization_id)
        if found is None:
            return
        if found[0] > time.monotonic():
            raise QuotaExceededError(str(found[1]), organization_id=organization_id, resource=found[1].resource)
        del self._until[organization_id]


def _next_month() -> datetime:
    now = datetime.now(UTC)
    return datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
