"""Learning from people's labels: fits the classifiers of an organization anew and keeps their weights."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from bailiwick.kernel.errors import CannotDetermineError
from bailiwick.kernel.ids import new_id
from bailiwick.kernel.loading import loaded
from bailiwick.storage import Database, Row
from bailiwick.tasks import Run

Purpose = Literal["department", "priority"]

_FITTING = "bailiwick.packs.operations.fitting"

KEPT_VERSIONS = 5

# Only what people labelled teaches; what we decided ourselves would teach us our own mistakes.
_LABELLED = """
select title, record ->> 'body' as body, labels, opened_at
from issues
where organization_id = %s and cardinality(labels) > 0
order by opened_at desc limit %s"""


class Learn(BaseModel):
    """Learning needs no input: it reads the organization's labelled issues."""


async def refit(database: Database, organization_id: str) -> dict[str, Any]:
    """Fit both classifiers on the labelled history and keep those that had enough of it.

    The newest weights are used from the next issue on. Returns, by purpose, how
    many samples taught how many targets, or what is missing.
    """
    fitting = await loaded(_FITTING)
    rows = await database.fetch_all(_LABELLED, (organization_id, fitting.MAX_SAMPLES), organization_id=organization_id)
    report: dict[str, Any] = {"labelled_issues": len(rows)}
    for purpose in ("department", "priority"):
        report[purpose] = await _refit_one(database, organization_id, purpose, rows)
    return report


async def learn(run: Run, database: Database) -> dict[str, Any]:
    """Refit the organization of a task."""
    return await run.step("refit", refit, database, run.task.organization_id)


async def _refit_one(database: Database, organization_id: str, purpose: Purpose, rows: Sequence[Row]) -> dict[str, Any]:
    try:
        fitting = await loaded(_FITTING)
        classifier = await asyncio.to_thread(fitting.fit, purpose, rows)
    except CannotDetermineError as error:
        return {"is_fitted": False, "reason": str(error)}
    model = classifier.model
    if await _is_known(database, organization_id, purpose, model.samples, model.trained_until):
        return {"is_fitted": False, "reason": "no labelled issue came since the last fit", "samples": model.samples}
    await database.execute(
        "insert into issue_classifiers (id, organization_id, purpose, weights, samples, targets, trained_until) "
        "values (%s, %s, %s, %s, %s, %s, %s)",
        (
            new_id(), organization_id, purpose, classifier.to_bytes(), model.samples, list(model.targets),
            model.trained_until,
        ),
        organization_id=organization_id,
    )  # fmt: skip
    await database.execute(
        "delete from issue_classifiers where organization_id = %(org)s and purpose = %(purpose)s and id not in "
        "(select id from issue_classifiers where organization_id = %(org)s and purpose = %(purpose)s "
        "order by id desc limit %(kept)s)",
        {"org": organization_id, "purpose": purpose, "kept": KEPT_VERSIONS},
        organization_id=organization_id,
    )
    return {"is_fitted": True, "samples": model.samples, "targets": list(model.targets)}


async def _is_known(
    database: Database, organization_id: str, purpose: Purpose, samples: int, trained_until: datetime
) -> bool:
    row = await database.fetch_one(
        "select samples, trained_until from issue_classifiers where organization_id = %s and purpose = %s "
        "order by id desc limit 1",
        (organization_id, purpose),
        organization_id=organization_id,
    )
    return row is not None and (row["samples"], row["trained_until"]) == (samples, trained_until)
