"""Plans, quotas, metering and rate limits: how much an organization may use, how much it did, and how fast."""

from bailiwick.identity.quotas.metering import Metering
from bailiwick.identity.quotas.model import (
    MONTHLY,
    RESOURCES,
    Bound,
    Crossing,
    Plan,
    Quota,
    QuotaView,
    Rate,
    Resource,
    Scope,
    Usage,
    month_of,
)
from bailiwick.identity.quotas.plans import Plans
from bailiwick.identity.quotas.quotas import Quotas
from bailiwick.identity.quotas.rates import Bucket, RateLimiter, RateState

__all__ = [
    "MONTHLY",
    "RESOURCES",
    "Bound",
    "Bucket",
    "Crossing",
    "Metering",
    "Plan",
    "Plans",
    "Quota",
    "QuotaView",
    "Quotas",
    "Rate",
    "RateLimiter",
    "RateState",
    "Resource",
    "Scope",
    "Usage",
    "month_of",
]
