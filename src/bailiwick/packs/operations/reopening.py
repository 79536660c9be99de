"""The check ``issue.not_reopened``: whether an issue that was settled stayed so."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.outcomes import Check, Expected, Finding, Reading
from bailiwick.storage import Database

NOT_REOPENED = "issue.not_reopened"

# News of an issue is what its source told after the time came: a poll of the whole repository, or the issue itself.
_LOOK = """
select i.state, (i.record ->> 'updated_at')::timestamptz as updated_at,
       (select min(t.at) from issue_transitions t where t.issue_id = i.id
        and t.details ->> 'cause' = 'reopened' and t.at > %(since)s) as reopened_at,
       (select max(c.last_polled_at) from connections c where c.organization_id = i.organization_id
        and c.target = split_part(i.key, '#', 1) and c.last_error is null) as polled_at
from issues i where i.organization_id = %(org)s and i.key = %(key)s"""


class SettledIssue(BaseModel):
    """Which issue, as ``owner/name#number``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str


class NotReopened:
    """Looks at what is on record; whether the record is fresh enough to tell is part of the answer."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def check(self) -> Check[SettledIssue]:
        """Return the check."""
        return Check(NOT_REOPENED, SettledIssue, self.look, "A settled issue was not opened again.")

    async def look(self, organization_id: str, arguments: SettledIssue, expected: Expected) -> Finding:
        """Return whether the issue was opened again; unknown where nothing tells how it stands by now."""
        row = await self._database.fetch_one(
            _LOOK,
            {"org": organization_id, "key": arguments.key, "since": expected.expected_at},
            organization_id=organization_id,
        )
        if row is None:
            return Finding("unknown", missing=f"{arguments.key} on record")
        now = self._clock.now()
        readings = (Reading(f"issue {arguments.key}", now, _seen(row)),)
        if row["reopened_at"] is not None:
            return Finding("did_not", readings)
        news: list[datetime] = [at for at in (row["polled_at"], row["updated_at"]) if at is not None]
        if max(news, default=expected.expected_at) < expected.check_at:
            repository = arguments.key.partition("#")[0]
            missing = (
                f"news of {arguments.key} since {expected.check_at:%Y-%m-%d %H:%M} UTC: connect the repository "
                f"(bailiwick connect github {repository}), or import its issues again"
            )
            return Finding("unknown", readings, missing)
        return Finding("worked", readings)


def _seen(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value is None else str(value) for name, value in row.items()}
