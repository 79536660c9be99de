"""Rate limits at the door: who pays for a request, and what every answer says of it.

The header fields are those of draft-ietf-httpapi-ratelimit-headers (version 10):
``RateLimit-Policy`` names each limit with its burst as quota ``q`` and its window
``w``, the seconds in which that refills; ``RateLimit`` says what remains (``r``)
and in how many seconds (``t``) all of it is back, or the next request may pass.
"""

import ipaddress
import math
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

from bailiwick.api.client_address import is_loopback
from bailiwick.identity import Caller
from bailiwick.identity.quotas import Bucket, Metering, Rate, RateLimiter, RateState
from bailiwick.installation import Installation

# Asked by load balancers and by whoever verifies a token; they cost next to nothing.
FREE_PATHS = ("/healthz", "/readyz", "/.well-known/jwks.json")
# Here a password or a code is tried, or an account made.
_LOGIN_PREFIXES = (
    "/api/v1/login", "/api/v1/setup", "/api/v1/registration", "/api/v1/invitations/accept", "/api/v1/password/reset",
)  # fmt: skip
_WEBHOOK_PREFIX = "/api/v1/webhooks/"
# Whoever has used up the month's calls must still see that.
_UNMETERED_PREFIXES = ("/api/v1/usage", "/api/v1/quotas")
_WEBHOOKS_PER_MINUTE = 3000
# One client of IPv6 has this many bits of address to itself at least.
_IPV6_PREFIX = 64


class RateLimiting:
    """Charges each request to its address, its key or user, and its organization.

    An address pays for what nobody else pays for: open paths and refused
    credentials. When it is used up, its credentials are not even looked at.
    """

    def __init__(self, limiter: RateLimiter, metering: Metering, *, address_rate: int, login_rate: int) -> None:
        """Take the lasting rates per minute of an address and of logins; 0 is no limit."""
        self._limiter = limiter
        self._metering = metering
        self._address_rate = Rate(address_rate, address_rate) if address_rate else None
        self._login_rate = Rate(login_rate, login_rate) if login_rate else None

    @classmethod
    def of(cls, installation: Installation) -> "RateLimiting":
        """Return the limits that an installation's settings say; without them calls are only metered."""
        settings = installation.settings
        return cls(
            installation.rates,
            installation.metering,
            address_rate=settings.address_rate_per_minute if settings.rate_limits else 0,
            login_rate=settings.login_rate_per_minute if settings.rate_limits else 0,
        )

    async def knock(self, scope: Scope, *, is_open: bool) -> None:
        """Charge a request that needs no credentials to its address, and refuse an address that is used up.

        Raises:
            RateLimitedError: it asks too often, or tried too many credentials.
        """
        path: str = scope["path"]
        subject = _subject(scope["state"].get("address"))
        if path in FREE_PATHS or subject is None:
            return
        if path.startswith(_LOGIN_PREFIXES) and scope["method"] == "POST":
            await self._take_address(scope, "login", subject, self._login_rate)
        elif path.startswith(_WEBHOOK_PREFIX):
            rate = Rate(_WEBHOOKS_PER_MINUTE, _WEBHOOKS_PER_MINUTE) if self._address_rate else None
            await self._take_address(scope, "webhook", subject, rate)
        elif is_open:
            await self._take_address(scope, "address", subject, self._address_rate)
        elif self._address_rate is not None:
            self._limiter.check(Bucket("address", subject, self._address_rate))

    async def refused(self, scope: Scope) -> None:
        """Charge refused credentials to the address that sent them.

        Raises:
            RateLimitedError: it has tried too many.
        """
        subject = _subject(scope["state"].get("address"))
        if subject is not None:
            await self._take_address(scope, "address", subject, self._address_rate)

    async def admit(self, scope: Scope, caller: Caller) -> None:
        """Charge a request to its key or user, and to the organization if the caller has only one.

        Raises:
            RateLimitedError: one of them asks too often.
            QuotaExceededError: the organization's API calls of the month are used up.
        """
        kind = "user" if caller.kind == "user" else "key"
        bucket = Bucket(kind, caller.id if kind == "user" else caller.key_id or caller.id)
        organization_id = None
        if len(caller.grants) == 1 and not caller.is_admin:
            organization_id = next(iter(caller.grants))
        await self._charge(scope, [bucket], organization_id)

    async def admit_organization(self, scope: Scope, caller: Caller, organization_id: str) -> None:
        """Charge a request to the organization it is about, if that was not known at the door.

        Administrators of the installation are nobody's customers: their calls
        are neither counted nor bounded by an organization's limits.

        Raises:
            RateLimitedError, QuotaExceededError: as ``admit``.
        """
        if not caller.is_admin and scope["state"].get("charged") != organization_id:
            await self._charge(scope, [], organization_id)

    async def login(self, scope: Scope, account: str) -> None:
        """Charge an attempt to log in to the account it is for, before anything is checked.

        Raises:
            RateLimitedError: too many attempts for that account, from wherever.
        """
        if self._login_rate is not None:
            await self._limiter.take([Bucket("login", f"account:{account.strip().lower()}", self._login_rate)])

    async def _charge(self, scope: Scope, buckets: list[Bucket], organization_id: str | None) -> None:
        metered = organization_id is not None and not scope["path"].startswith(_UNMETERED_PREFIXES)
        if self._address_rate is None:
            buckets = []
        elif organization_id is not None:
            buckets = [*buckets, Bucket("organization", organization_id)]
        _remember(scope, self._limiter, buckets)
        if buckets or metered:
            await self._limiter.take(buckets, organization_id=organization_id, calls=metered)
        if organization_id is not None:
            scope["state"]["charged"] = organization_id
            if metered:
                self._metering.count_call(organization_id)

    async def _take_address(self, scope: Scope, kind: str, subject: str, rate: Rate | None) -> None:
        if rate is None:
            return
        bucket = Bucket(kind, subject, rate)
        _remember(scope, self._limiter, [bucket])
        await self._limiter.take([bucket])


def add_headers(scope: Scope, headers: MutableHeaders) -> None:
    """Tell what was charged for a request, and what is left of it."""
    charged: list[tuple[RateLimiter, list[Bucket]]] = scope.get("state", {}).get("rates", [])
    states = [state for limiter, buckets in charged for state in limiter.states(buckets)]
    if states:
        headers["ratelimit-policy"], headers["ratelimit"] = fields_of(states)


def fields_of(states: Sequence[RateState]) -> tuple[str, str]:
    """Return ``RateLimit-Policy`` and ``RateLimit`` as lists of structured fields (RFC 9651)."""
    policies = (
        f'"{state.scope}";q={state.rate.burst};w={max(1, math.ceil(state.rate.burst * 60 / state.rate.per_minute))}'
        for state in states
    )
    left = (f'"{state.scope}";r={state.remaining};t={math.ceil(state.reset_seconds)}' for state in states)
    return ", ".join(policies), ", ".join(left)


def _remember(scope: Scope, limiter: RateLimiter, buckets: list[Bucket]) -> None:
    # Before they are taken from, so that a refusal tells of them too.
    if buckets:
        scope["state"].setdefault("rates", []).append((limiter, buckets))


def _subject(address: str | None) -> str | None:
    """Return what stands for a client's address; None for this machine, where a proxy that nobody declared may stand.

    All clients of such a proxy look alike, and one that tries bad keys would
    shut out the others.
    """
    if address is None or is_loopback(address):
        return None
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return address
