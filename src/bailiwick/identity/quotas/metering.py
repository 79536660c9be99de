"""Metering: what organizations used, by UTC day, kept exactly and exported for billing."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import orjson
import psycopg
import structlog

from bailiwick.identity.quotas.model import Crossing, Usage, following_month
from bailiwick.kernel.errors import BailiwickError
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.kernel.loops import end
from bailiwick.storage import Database
from bailiwick.storage.connections import Connection

log = structlog.get_logger(__name__)

# A process that is killed loses what it counted and did not report: at most this many calls, or this long.
REPORT_CALLS = 100
REPORT_SECONDS = 2.0
_FOLD = 20_000


class Metering:
    """Counts API calls of this process and reads what everybody used.

    Tasks and model spend are counted in the transactions that make them, agents
    and storage are measured; only API calls pass through memory.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._source = new_id()
        self._sequence = 0
        self._counted: Counter[tuple[str, date]] = Counter()
        # A report that may or may not have been taken in; it is sent again as it was.
        self._pending: str | None = None
        self._wake = asyncio.Event()
        self._reporting = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None

    async def keep_kinds(self, metered: Mapping[str, bool]) -> None:
        """Have the database count the tasks of kinds or not, as the kinds say; written only where that changed.

        Kinds that are not named stay as they are: another process may know them.
        """
        await self._database.execute(
            "with gone as (delete from unmetered_kinds where kind = any(%(metered)s)) "
            "insert into unmetered_kinds (kind) select unnest(%(unmetered)s::text[]) on conflict do nothing",
            {
                "metered": [kind for kind, is_metered in metered.items() if is_metered],
                "unmetered": sorted(kind for kind, is_metered in metered.items() if not is_metered),
            },
        )

    def count_call(self, organization_id: str, *, now: datetime | None = None) -> None:
        """Count one API call of an organization; belongs to the running event loop."""
        self._counted[organization_id, (now or datetime.now(UTC)).date()] += 1
        if self._loop is None:
            self._loop = asyncio.create_task(self._report_forever())
        if self._counted.total() >= REPORT_CALLS:
            self._wake.set()

    async def report(self) -> None:
        """Write what was counted; a report whose answer was lost is taken in once, however often it is sent.

        Raises:
            DatabaseUnavailableError, DiskFullError: nothing is lost; call again.
        """
        async with self._reporting:
            while self._pending is not None or self._counted:
                if self._pending is None:
                    self._sequence += 1
                    self._pending = orjson.dumps(
                        [
                            {"org": organization_id, "resource": "api_calls", "day": day.isoformat(), "n": calls}
                            for (organization_id, day), calls in sorted(self._counted.items())
                        ]
                    ).decode()
                    self._counted = Counter()
                await self._database.execute(
                    "select usage_report(%s, %s, %s::jsonb)", (self._source, self._sequence, self._pending)
                )
                self._pending = None

    async def close(self) -> None:
        """Report what is left and stop."""
        loop, self._loop = self._loop, None
        if loop is not None:
            await end(loop)
        try:
            await self.report()
        except (psycopg.Error, BailiwickError) as error:
            log.error("API calls not metered", calls=self._counted.total(), error=str(error))

    async def fold(self) -> int:
        """Fold what was counted into its days; return how many rows went. Reading is the same before and after."""
        total = 0
        while True:
            row = await self._database.fetch_one("select usage_fold(%s) as n", (_FOLD,))
            found = 0 if row is None else int(row["n"])
            total += found
            if found < _FOLD:
                return total

    async def measure(self) -> int:
        """Measure agents and stored bytes of all organizations now; return how many figures were kept.

        Bytes are those of the rows as PostgreSQL keeps them, compressed, without
        indexes. Tables up to 64 MiB are summed exactly, larger ones estimated
        from that much of them.
        """
        row = await self._database.fetch_one("select usage_measure() as n")
        return 0 if row is None else int(row["n"])

    async def claim_measurement(self) -> bool:
        """Tell whether this process is to measure: once an hour one is."""
        row = await self._database.fetch_one(
            "insert into usage_sources as s (id, sequence) values (%s, 0) on conflict (id) do update "
            "set reported_at = now() where s.reported_at < now() - interval '1 hour' returning 1 as one",
            (INSTALLATION,),
        )
        return row is not None

    async def mark_told(self, connection: Connection, crossing: Crossing) -> bool:
        """Note, in the transaction that tells it, that a reached limit is told; False if somebody did before."""
        marked = await connection.execute(
            "update quota_crossings set told_at = now() where organization_id = %s and resource = %s "
            "and level = %s and month = %s and told_at is null",
            (crossing.organization_id, crossing.resource, crossing.level, crossing.month),
        )
        return marked.rowcount > 0

    async def days(self, month: date, *, organization_id: str | None = None) -> list[Usage]:
        """Return what was used on each UTC day of a month, of one organization or of all."""
        rows = await self._database.fetch_all(
            "select organization_id, resource, day, amount from usage_between(%s, %s, %s)",
            (organization_id, month, following_month(month)),
        )
        return [Usage(**row) for row in rows]

    async def untold(self, limit: int = 100) -> list[Crossing]:
        """Return limits that were reached and not told yet, oldest first."""
        rows = await self._database.fetch_all("select * from quota_untold(%s)", (limit,))
        return [Crossing(**{name: value for name, value in row.items() if name != "told_at"}) for row in rows]

    async def sweep(self) -> int:
        """Forget idle rate buckets; a bucket that is not there is full."""
        row = await self._database.fetch_one("select rate_sweep() as n")
        return 0 if row is None else int(row["n"])

    async def _report_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.report()
            except (psycopg.Error, BailiwickError) as error:
                log.warning("metering failed; trying again", error=str(error))
                await asyncio.sleep(1)


def month_totals(days: list[Usage]) -> list[dict[str, Any]]:
    """Return a month's amounts by organization and resource: sums of what is counted, the most of what is measured."""
    totals: dict[tuple[str, str], Any] = {}
    for usage in days:
        key = (usage.organization_id, usage.resource)
        if usage.resource in ("agents", "storage_bytes"):
            totals[key] = max(totals.get(key, 0), usage.amount)
        else:
            totals[key] = totals.get(key, 0) + usage.amount
    return [
        {"organization_id": organization_id, "resource": resource, "amount": amount}
        for (organization_id, resource), amount in sorted(totals.items())
    ]


def as_csv(days: list[Usage]) -> str:
    """Return usage as CSV (RFC 4180) with a line of names: organization_id, resource, day, amount."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("organization_id", "resource", "day", "amount"))
    for usage in days:
        writer.writerow((usage.organization_id, usage.resource, usage.day.isoformat(), plain_amount(usage.amount)))
    return out.getvalue()


def plain_amount(amount: Any) -> str:
    """Return an amount without an exponent and without zeros that say nothing: 1.500000 as 1.5."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
