"""Rate limits: token buckets in PostgreSQL, shared by all processes, leased in small batches.

A process takes a few tokens at once (never more than a twentieth of the burst)
and lets requests pass on them without asking the database. Tokens are taken
before they are used, so all processes together never let more pass than the
buckets gave. A lease ends after a second; the shared bucket is smaller than the
burst by what one second refills, so in no span of time T do more than
``rate x T + burst`` requests pass, over all processes. What a killed process
leased is lost, never doubled.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import TypeVar

import orjson

from bailiwick.identity.quotas.model import Rate
from bailiwick.kernel.errors import RateLimitedError
from bailiwick.storage.channel import Channel
from bailiwick.storage.connections import Row
from bailiwick.storage.refusals import quota_exceeded

# As the database function rate_lease_seconds says.
LEASE_SECONDS = 1.0
# API calls are leased from a quota for longer: what is not used comes back.
_CALLS_SECONDS = 10.0
_CALLS_BATCH = 100
_MAX_RENEWALS = 3
_Kept = TypeVar("_Kept")
_MEMORY_SIZE = 10_000
_WORDS = {
    "address": "this address", "webhook": "this address", "login": "this address or account", "key": "this key",
    "user": "this user", "organization": "this organization",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is limited: a scope and who it is. With a ``rate``, that one; else the organization's of the scope."""

    scope: str
    subject: str
    rate: Rate | None = None

    @property
    def key(self) -> str:
        """The bucket's key: a hash, so that no address or account name is kept."""
        digest = blake2b(f"{self.scope}:{self.subject}".encode(), digest_size=16).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


@dataclass(frozen=True, slots=True)
class RateState:
    """What a client is told of a limit: how much it may ask now, and in how many seconds it may more."""

    scope: str
    rate: Rate
    remaining: int
    reset_seconds: float


@dataclass(slots=True)
class _Lease:
    rate: Rate | None = None
    tokens: int = 0
    used: int = 0
    want: int = 1
    batch: int = 1
    expires_at: float = 0.0
    # In the shared bucket at the last answer.
    shared: float = 0.0
    asked_at: float = 0.0
    refused_until: float = 0.0

    def is_good(self, now: float) -> bool:
        # Without a rate there is no limit; that too is asked again after a second.
        return now < self.expires_at and (self.rate is None or self.tokens > 0)

    def returned(self, now: float) -> int:
        """Give up the tokens of a lease that is over, and set how many to ask for next."""
        back, self.tokens = self.tokens, 0
        if now < self.expires_at:
            self.want = min(self.batch, max(2 * self.want, 1))
        else:
            self.want = min(self.batch, max(self.used, 1))
        self.used = 0
        return back


@dataclass(slots=True)
class _Calls:
    left: int | None = 0
    month: date | None = None
    expires_at: float = 0.0
    refused_until: float = 0.0

    def is_good(self, now: float) -> bool:
        if now >= self.expires_at:
            return False
        return self.left is None or (self.left > 0 and self.month == _this_month())


class RateLimiter:
    """Lets requests pass or refuses them. One per process; belongs to one event loop."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._channel = Channel(url, application="bailiwick rates")
        self._clock = clock
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        self._calls: OrderedDict[str, _Calls] = OrderedDict()

    def check(self, bucket: Bucket) -> None:
        """Raise RateLimitedError if this process knows that a bucket is empty; takes nothing and asks nobody."""
        lease = self._leases.get(bucket.key)
        if lease is not None and lease.refused_until > self._clock():
            raise _refusal(bucket, lease, lease.refused_until - self._clock())

    async def take(
        self, buckets: Sequence[Bucket], *, organization_id: str | None = None, calls: bool = False
    ) -> list[RateState]:
        """Take a token from every bucket, or from none; return what is left in each that is limited.

        Most calls take from leases in memory; the others cost one round trip.
        With ``calls`` also takes an API call of the organization's quota.

        Raises:
            RateLimitedError: a bucket is empty; says when to come again.
            QuotaExceededError: the organization's API calls of the month are used up.
            DatabaseUnavailableError: nobody can tell.
        """
        held = [(bucket, self._lease(bucket)) for bucket in buckets]
        metered = self._metered(organization_id) if calls and organization_id is not None else None
        renewals = 0
        while not self._is_ready(held, organization_id, metered):
            # What an answer brings is used before anybody else runs; only a lease that was
            # good before it may have been used up by others meanwhile.
            if renewals == _MAX_RENEWALS:
                raise _refusal(held[0][0], held[0][1], LEASE_SECONDS)
            await self._renew(held, organization_id, metered, self._clock())
            renewals += 1
        for _, lease in held:
            if lease.rate is not None:
                lease.tokens -= 1
                lease.used += 1
        if metered is not None and metered.left is not None:
            metered.left -= 1
        return self.states(buckets)

    def states(self, buckets: Sequence[Bucket]) -> list[RateState]:
        """Return what this process knows is left in those of the buckets that are limited."""
        now = self._clock()
        known = ((bucket, self._leases.get(bucket.key)) for bucket in buckets)
        return [
            _state(bucket, lease.rate, lease, now)
            for bucket, lease in known
            if lease is not None and lease.rate is not None
        ]

    async def close(self) -> None:
        """Give back what was leased of quotas, and close the connection."""
        for organization_id, metered in self._calls.items():
            if metered.left:
                await self._channel.call(
                    "select quota_return(%s::uuid, 'api_calls', %s, %s)",
                    (organization_id, metered.left, metered.month),
                )
                metered.left = 0
        await self._channel.close()

    def _lease(self, bucket: Bucket) -> _Lease:
        return _remembered(self._leases, bucket.key, _Lease)

    def _metered(self, organization_id: str) -> _Calls:
        return _remembered(self._calls, organization_id, _Calls)

    def _is_ready(
        self, held: Sequence[tuple[Bucket, _Lease]], organization_id: str | None, metered: _Calls | None
    ) -> bool:
        """Tell whether everything needed is leased, or raise if something is known to be refused."""
        now = self._clock()
        for bucket, lease in held:
            if lease.refused_until > now and not lease.is_good(now):
                raise _refusal(bucket, lease, lease.refused_until - now)
        if metered is not None and metered.refused_until > now:
            raise quota_exceeded(organization_id or "", "api_calls", None, None)
        return all(lease.is_good(now) for _, lease in held) and (metered is None or metered.is_good(now))

    async def _renew(
        self, held: Sequence[tuple[Bucket, _Lease]], organization_id: str | None, metered: _Calls | None, now: float
    ) -> None:
        """Ask for the leases that are used up or over, in one round trip."""
        wanting = [(bucket, lease) for bucket, lease in held if not lease.is_good(now)]
        takes: list[dict[str, object]] = []
        for bucket, lease in wanting:
            take: dict[str, object] = {"scope": bucket.scope, "key": bucket.key, "back": lease.returned(now)}
            take["want"] = lease.want
            if bucket.rate is not None:
                take |= {"per_minute": bucket.rate.per_minute, "burst": bucket.rate.burst}
            takes.append(take)
        calls = back = 0
        month = None
        if metered is not None and not metered.is_good(now):
            calls, back, month = _CALLS_BATCH, metered.left or 0, metered.month
            metered.left = 0
        rows = await self._channel.call(
            "select * from request_admit(%s::uuid, %s::jsonb, %s, %s, %s)",
            (organization_id, orjson.dumps(takes).decode(), calls, back, month),
        )
        answers = {row["ordinal"]: row for row in rows}
        for place, (_, lease) in enumerate(wanting):
            _receive(lease, answers.get(place), now)
        if metered is not None and -1 in answers:
            granted = answers[-1]["granted"]
            metered.left = granted if granted is None else (metered.left or 0) + granted
            metered.month = answers[-1]["month"]
            # Without a quota, one that is set later shall hold soon.
            metered.expires_at = now + (LEASE_SECONDS if granted is None else _CALLS_SECONDS)
            metered.refused_until = now + LEASE_SECONDS if granted == 0 else 0.0


def _receive(lease: _Lease, row: Row | None, now: float) -> None:
    lease.asked_at = now
    if row is None:
        lease.rate = None
        lease.expires_at = now + LEASE_SECONDS
        return
    lease.rate = Rate(int(row["per_minute"]), int(row["burst"]))
    lease.batch = row["batch"]
    # Counted from before it was asked for; and where another's answer came meanwhile, the earlier end holds.
    expires_at = now + LEASE_SECONDS
    lease.expires_at = min(lease.expires_at, expires_at) if lease.tokens else expires_at
    lease.tokens += row["granted"]
    lease.shared = max(float(row["remaining"]), 0.0)
    lease.refused_until = now + float(row["wait_seconds"]) if row["wait_seconds"] > 0 else 0.0


def _state(bucket: Bucket, rate: Rate, lease: _Lease, now: float) -> RateState:
    if lease.refused_until > now and lease.tokens == 0:
        return RateState(bucket.scope, rate, 0, lease.refused_until - now)
    per_second = rate.per_minute / 60
    there = lease.shared + (now - lease.asked_at) * per_second + lease.tokens
    remaining = min(rate.burst, max(int(there), 0))
    return RateState(bucket.scope, rate, remaining, (rate.burst - remaining) / per_second)


def _refusal(bucket: Bucket, lease: _Lease, seconds: float) -> RateLimitedError:
    rate = lease.rate
    allowed = "" if rate is None else f" {rate.per_minute:,} per minute"
    seconds = max(seconds, 0.001)
    return RateLimitedError(
        f"{_WORDS.get(bucket.scope, bucket.scope)} asks too often; allowed are{allowed}: wait {seconds:.3g} s and "
        "ask again, more slowly",
        retry_after_seconds=seconds,
    )


def _remembered(memory: OrderedDict[str, _Kept], key: str, make: Callable[[], _Kept]) -> _Kept:
    found = memory.get(key)
    if found is None:
        found = memory[key] = make()
        if len(memory) > _MEMORY_SIZE:
            # Its tokens are lost with it: too few pass, never too many.
            memory.popitem(last=False)
    else:
        memory.move_to_end(key)
    return found


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)
