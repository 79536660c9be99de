"""Outcomes: what was expected, and what a later look found."""

from typing import Any

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import parse_id
from bailiwick.outcomes.model import COLUMNS, OutcomeRecord
from bailiwick.storage import Database
from bailiwick.storage.database import trusted
from bailiwick.tasks import Run
from bailiwick.telemetry.redacting import redacted_json

_RECORD = """
update outcomes set state = %(state)s, evidence = %(evidence)s::jsonb, missing = %(missing)s,
    checked_at = %(at)s, late_seconds = %(late)s
where organization_id = %(org)s and id = %(id)s and state = 'pending' and task_is_held(%(task)s, %(fence)s)
returning """


class Outcomes:
    """Reads expectations of one organization, and writes verdicts once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, outcome_id: str) -> OutcomeRecord:
        """Return one outcome, or raise NotFoundError."""
        identifier = parse_id(outcome_id)
        row = None if identifier is None else await self._database.fetch_one(
            f"select {COLUMNS} from outcomes where organization_id = %s and id = %s",
            (organization_id, identifier),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None:
            raise NotFoundError(f"no outcome {outcome_id} in this organization")
        return OutcomeRecord(**row)

    async def record(self, run: Run, outcome_id: str, found: dict[str, Any]) -> dict[str, Any]:
        """Write a verdict with its evidence and everything that follows from it, in one transaction and once."""
        organization_id = run.task.organization_id
        evidence = redacted_json(encode({"readings": found["evidence"]}, what="evidence of an outcome"))
        params = {
            "org": organization_id, "id": outcome_id, "state": found["verdict"], "evidence": evidence.decode(),
            "missing": found["missing"], "at": found["looked_at"], "late": found["late_seconds"],
            "task": run.task.id, "fence": run.task.fence,
        }  # fmt: skip
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(trusted(_RECORD + COLUMNS), params)
            row = await cursor.fetchone()
        return {"outcome_id": outcome_id, "verdict": found["verdict"], "is_new": row is not None}
