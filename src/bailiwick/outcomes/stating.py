"""How a run states what should be true later of its own result."""

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import new_id
from bailiwick.outcomes.checks import CheckRegistry
from bailiwick.storage import Database
from bailiwick.tasks import LeaseLostError, Run
from bailiwick.tasks.acting import Expectation
from bailiwick.telemetry.redacting import redacted_json

LONGEST_SECONDS = 366 * 24 * 3600.0
"""An expectation nobody looks at within a year is no expectation."""

_STATE = """
insert into outcomes (id, organization_id, task_id, agent_id, "check", claim, arguments, check_at, step_key)
select %(id)s, %(org)s, %(task)s, %(agent)s, %(check)s, %(claim)s, %(arguments)s::jsonb,
       now() + make_interval(secs => %(after)s), %(key)s
where task_is_held(%(task)s, %(fence)s)
on conflict (organization_id, step_key) do nothing"""


class Expecting:
    """States expectations of task results; the timer that looks is armed with them."""

    def __init__(self, database: Database, checks: CheckRegistry) -> None:
        self._database = database
        self._checks = checks

    async def expect(self, run: Run, expectation: Expectation) -> str:
        """State once what should be true later, and return the outcome's id.

        Raises:
            UnknownKindError, InvalidPayloadError: no such check, or arguments that do not fit it.
            InvalidInputError: it has no claim, or a time of looking that makes no sense.
        """
        self.validate(expectation)
        key = run.step_key("expect")
        return await run.step(f"expect {expectation.check}", self._state, run, expectation, key)

    def validate(self, expectation: Expectation) -> None:
        """Raise what ``expect`` raises for an expectation that cannot be looked at."""
        self._checks.arguments(self._checks.get(expectation.check), expectation.arguments)
        if not 1 <= len(expectation.claim) <= 2000:
            raise InvalidInputError("an expectation says in 1 to 2,000 characters what should be true")
        if not 0 <= expectation.after_seconds <= LONGEST_SECONDS:
            raise InvalidInputError("an expectation is looked at within a year; set after_seconds accordingly")

    async def _state(self, run: Run, expectation: Expectation, key: str) -> str:
        organization_id = run.task.organization_id
        params = {
            "id": new_id(), "org": organization_id, "task": run.task.id, "fence": run.task.fence,
            "agent": run.task.agent_id, "check": expectation.check, "claim": expectation.claim, "key": key,
            "arguments": redacted_json(encode(expectation.arguments, what="arguments of an expectation")).decode(),
            "after": float(expectation.after_seconds),
        }  # fmt: skip
        async with self._database.transaction(organization_id) as connection:
            await connection.execute(_STATE, params)
            cursor = await connection.execute("select id from outcomes where step_key = %s", (key,))
            row = await cursor.fetchone()
        if row is None:
            raise LeaseLostError(f"task {run.task.id} was taken from this worker before it stated what it expects")
        return str(row["id"])
