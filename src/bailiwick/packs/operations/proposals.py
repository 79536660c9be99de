"""What a result asks to have done outside: labels and a comment, in a task of their own that may wait for people."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.connectors.issues import ISSUES
from bailiwick.effects.ledger import Effects
from bailiwick.effects.record import EffectFilter, EffectRecord
from bailiwick.packs.operations.assignments import WorkReport
from bailiwick.packs.operations.reopening import NOT_REOPENED
from bailiwick.tasks import Run, TaskKind
from bailiwick.tasks.acting import DONE_STATES, Acted, Effect, Expectation

KIND = "issue.propose"
ADD_LABELS = "github.add_labels"
COMMENT = "github.comment"
STANDS = "effect.still_stands"

DAY_SECONDS = 86_400.0
# A report of a reopening later than this says more about the next change than about this result.
NOT_REOPENED_AFTER_DAYS = 14
_MAX_REASON = 2000
# An effect in one of these is under way or stands: the same is not asked for a second time.
_OPEN_STATES = frozenset({"proposed", "waiting", "executing", "unknown"})
_LOOKED_AT = 200


class Proposals(BaseModel):
    """What one result proposes for its issue; ``source`` is the system that the issue lives in."""

    model_config = ConfigDict(frozen=True)

    issue_key: str
    source: str
    result_id: str
    operation: str
    summary: str
    comment: str | None = None
    labels: tuple[str, ...] = ()
    is_done: bool = False

    @classmethod
    def of(cls, key: str, source: str, report: WorkReport, *, is_done: bool) -> "Proposals | None":
        """Return what a report proposes, or None where it asks for nothing and promises nothing."""
        if not is_done and report.comment is None and not report.labels:
            return None
        return cls(
            issue_key=key, source=source, result_id=report.result_id, operation=report.operation,
            summary=report.summary, comment=report.comment, labels=report.labels, is_done=is_done,
        )  # fmt: skip


class ProposalRun:
    """The handler of ``issue.propose``: done as the agent that made the result, as far as it may."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    def kind(self) -> TaskKind:
        """Return the kind of task."""
        # The end of work that was counted: a quota that is used up keeps no finished answer back.
        return TaskKind(KIND, self.handle, Proposals, outside=ISSUES, is_metered=False)

    async def handle(self, run: Run, wanted: Proposals) -> dict[str, Any]:
        """State what the result promises, then have labels and comment carried out, one after the other.

        Labels come first: a comment may wait for people for days.
        """
        if wanted.is_done:
            await run.expect(_not_reopened(wanted.issue_key))
        if wanted.source != "github":
            return {"issue": wanted.issue_key, "effects": [], "reason": f"nothing can be sent to {wanted.source!r}"}
        said: list[dict[str, Any]] = await run.step("what stands", self._standing, run, wanted)
        done = [_told(effect, await run.act(effect)) for effect in effects_of(wanted, said)]
        return {"issue": wanted.issue_key, "effects": done}

    async def _standing(self, run: Run, wanted: Proposals) -> list[dict[str, Any]]:
        """Return the tool and arguments of what is under way or stands at this issue, of whichever run."""
        page = await self._effects.list(
            run.task.organization_id, EffectFilter(target=f"issue:{wanted.issue_key}"), limit=_LOOKED_AT
        )
        return [
            {"tool": one.tool, "arguments": one.arguments}
            for one in page.items
            if one.task_id != run.task.id and _counts(one)
        ]


def effects_of(wanted: Proposals, said: Sequence[dict[str, Any]] = ()) -> list[Effect]:
    """Return the effects a result asks for, without those that are under way or stand already."""
    repository, _, number = wanted.issue_key.rpartition("#")
    issue = {"repository": repository, "number": int(number)}
    reason = f"{wanted.operation} of {wanted.issue_key}: {wanted.summary}"[:_MAX_REASON]
    given = {label for one in said if one["tool"] == ADD_LABELS for label in one["arguments"]["labels"]}
    labels = [label for label in wanted.labels if label not in given]
    found: list[Effect] = []
    if labels:
        # Seen at once whether they are there, and that is all there is to expect of them.
        found.append(Effect(ADD_LABELS, {**issue, "labels": labels}, reason))
    comment = {**issue, "body": wanted.comment}
    if wanted.comment and {"tool": COMMENT, "arguments": comment} not in said:
        stands = Expectation(STANDS, "the comment is still there after a day", DAY_SECONDS)
        found.append(Effect(COMMENT, comment, reason, expectation=stands))
    return found


def _not_reopened(key: str) -> Expectation:
    claim = f"{key} is not opened again within {NOT_REOPENED_AFTER_DAYS} days"
    return Expectation(NOT_REOPENED, claim, NOT_REOPENED_AFTER_DAYS * DAY_SECONDS, {"key": key})


def _counts(effect: EffectRecord) -> bool:
    return effect.state in _OPEN_STATES or effect.state in DONE_STATES


def _told(effect: Effect, acted: Acted) -> dict[str, Any]:
    return {"effect_id": acted.effect_id, "tool": effect.tool, "state": acted.state, "reason": acted.reason}
