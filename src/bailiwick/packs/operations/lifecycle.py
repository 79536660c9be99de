"""The way of an open issue: recorded, classified, compared with the others, given to an agent, settled."""

import asyncio
from datetime import datetime
from typing import Any, Literal

from bailiwick.connectors.facts import reopened
from bailiwick.connectors.issues import IssueRecord
from bailiwick.events import NewEvent
from bailiwick.packs.operations import event_types as facts
from bailiwick.packs.operations.blocked import SAME_AS
from bailiwick.packs.operations.case import Case, ClosedMeanwhileError
from bailiwick.packs.operations.changes import Changes
from bailiwick.packs.operations.dispatch import Dispatch
from bailiwick.packs.operations.injection import ORDERS
from bailiwick.packs.operations.likeness import Likenesses, SameIssue
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.repository import Actor, IssueStore
from bailiwick.packs.operations.settings import OperationsSettings, SettingsCache
from bailiwick.packs.operations.sla import deadline
from bailiwick.packs.operations.triage import Triages, clock_of, triage
from bailiwick.storage import Database
from bailiwick.tasks import Run

_DUPLICATES = Actor("rule", "duplicates")

_OPENING_SECONDS = 5.0

Cause = Literal["opened", "reopened", "changed"]


class IssueLifecycle:
    """The handlers of ``issue.handle``, ``issue.reopen`` and ``issue.change``; no issue's state."""

    def __init__(self, database: Database, dispatch: Dispatch, likenesses: Likenesses) -> None:
        self._dispatch = dispatch
        self._likenesses = likenesses
        self._store = IssueStore(database)
        self._triages = Triages(database)
        self._settings = SettingsCache(database)
        self._changes = Changes(self._store)

    async def open(self, run: Run, issue: IssueRecord) -> dict[str, Any]:
        """Take a newly opened issue to where it rests."""
        return await self._handle(Case(run, self._store, issue), "opened")

    async def reopen(self, run: Run, issue: IssueRecord) -> dict[str, Any]:
        """Take an issue that was opened again through the lifecycle anew, with a new clock."""
        return await self._handle(Case(run, self._store, issue), "reopened")

    async def change(self, run: Run, issue: IssueRecord) -> dict[str, Any]:
        """Keep the newer text and labels; take the issue up again where they may change what became of it."""
        case = Case(run, self._store, issue)
        found = await run.step("compare", self._changes.compare, case.organization_id, issue, run.task.id)
        if not found["is_known"]:
            # Its opening may be on its way: events that follow each other closely are worked on side by side.
            await run.sleep(_OPENING_SECONDS)
            found = await run.step("compare", self._changes.compare, case.organization_id, issue, run.task.id)
        if found["is_reopened"]:
            # The fact under the key that a webhook gives it: whichever tells it first, it counts once.
            told = await run.publish(reopened(issue))
            return {"issue": issue.key, "is_known": True, "changed": found["changed"], "reopened_by": told}
        if found["taken_up"] is not None:
            return await self._handle(case, "changed", f"taken up again: {found['taken_up']}")
        if found["is_known"]:
            await run.step("keep", self._changes.keep, case.organization_id, issue)
        return {"issue": issue.key, "is_known": found["is_known"], "changed": found["changed"]}

    async def _handle(self, case: Case, cause: Cause, reason: str = "") -> dict[str, Any]:
        try:
            await self._arrive(case, cause, reason or f"{cause} in {case.issue.source}")
            decided = await self._classify(case, cause)
            duplicate = await self._find_original(case)
            if duplicate is not None:
                return await case.settle("blocked", duplicate, actor=_DUPLICATES)
            settings = OperationsSettings.model_validate(decided["settings"])
            if decided["confidence"] < settings.needs_person_below:
                return await self._dispatch.refuse(case, _needs_person(decided, settings.needs_person_below))
            return await self._dispatch.give(case, decided["department"], decided["operation"], settings)
        except ClosedMeanwhileError as closed:
            return {"issue": case.key, "status": "done", "reason": str(closed)}

    async def _arrive(self, case: Case, cause: Cause, reason: str) -> None:
        await case.run.step("record", self._record, case, reason, cause)
        await case.move("todo", reason, details={"author": case.issue.author, "cause": cause})

    async def _record(self, case: Case, reason: str, cause: Cause) -> None:
        await self._store.record(
            case.organization_id, case.issue, status="todo", reason=reason, task_id=case.run.task.id,
            clock_started_at=clock_of(case.issue, is_reopened=cause == "reopened"), reopens=cause == "reopened",
        )  # fmt: skip

    async def _classify(self, case: Case, cause: Cause) -> dict[str, Any]:
        decided = await case.run.step("classify", self._decide, case, cause)
        case.priority = Priority[decided["priority"]]
        case.deadline_at = datetime.fromisoformat(decided["deadline_at"])
        case.set_aside = len(decided["set_aside"])
        if case.set_aside:
            case.run.label(ORDERS)
        fact = facts.IssueClassified(
            key=case.key, department=decided["department"], operation=decided["operation"],
            confidence=decided["confidence"], source=decided["source"],
            evidence=tuple(one["term"] for one in decided["evidence"]), priority=decided["priority"],
            priority_source=decided["priority_source"], deadline_at=case.deadline_at,
            set_aside=case.set_aside,
        )  # fmt: skip
        await case.tell("issue.classified", fact)
        return decided

    async def _decide(self, case: Case, cause: Cause) -> dict[str, Any]:
        deciders = await self._triages.deciders_of(case.organization_id)
        settings = await self._settings.of(case.organization_id)
        found = await asyncio.to_thread(triage, case.issue, deciders)
        document = found.to_json()
        values = {
            "department": found.department.agent, "operation": found.operation, "classification": document,
            "duplicate_of": None,
        }  # fmt: skip
        known = await self._store.find(case.organization_id, case.key)
        if known is not None and known.breached_at is not None and cause == "changed":
            # What was escalated stays so: new words do not turn the clock back.
            priority, due = Priority(known.priority or 0), known.deadline_at or clock_of(case.issue, is_reopened=False)
        else:
            priority = found.priority.priority
            due = deadline(clock_of(case.issue, is_reopened=cause == "reopened"), priority, settings.policy)
            values |= {"at_risk_at": None, "breached_at": None, "breached_priority": None}
        await case.set({**values, "priority": int(priority), "deadline_at": due})
        if cause == "reopened":
            await self._store.count_reopenings(case.organization_id, case.key)
        return {**document, "priority": priority.name, "deadline_at": due, "settings": settings}

    async def _find_original(self, case: Case) -> str | None:
        pairs: list[dict[str, Any]] = await case.run.step("find duplicates", self._duplicates, case)
        for pair in pairs:
            fact = facts.IssueDuplicate(
                key=pair["key"], duplicate_of=pair["duplicate_of"], certainty=pair["certainty"], score=pair["score"],
                shared_terms=tuple(pair["shared_terms"]),
            )  # fmt: skip
            await case.run.publish(NewEvent("issue.duplicate_found", fact, fact.key, _once(pair)))
        own = next((pair for pair in pairs if pair["key"] == case.key and pair["certainty"] == "likely"), None)
        if own is None:
            return None
        shared = ", ".join(own["shared_terms"][:5])
        return (
            f"{SAME_AS}{own['duplicate_of']} (score {own['score']:.2f}, both say: {shared}); "
            "rests until that one is settled or a person says otherwise"
        )

    async def _duplicates(self, case: Case) -> list[dict[str, Any]]:
        """Find issues like this one; the younger of an open pair is the duplicate, whichever came up first."""
        organization_id, issue = case.organization_id, case.issue
        found = await self._likenesses.same(organization_id, case.key, issue.title, issue.body)
        known = await self._store.states(organization_id, [one.key for one in found])
        pairs: list[dict[str, Any]] = []
        for one in found:
            other = known.get(one.key)
            if other is None or other.state == "closed":
                continue
            is_younger = (other.opened_at, other.key) < (issue.created_at, case.key)
            younger, older = (case.key, one.key) if is_younger else (one.key, case.key)
            pairs.append({**_same(one), "key": younger, "duplicate_of": older})
            if one.is_likely:
                await self._store.set(organization_id, younger, {"duplicate_of": older})
        related = [{**_same(one), "state": known[one.key].state if one.key in known else None} for one in found]
        await case.set({"related": related})
        return pairs


def _once(pair: dict[str, Any]) -> str:
    # Both of a pair find each other; it is told once.
    return f"issue.duplicate:{pair['key']}:{pair['duplicate_of']}"


def _same(one: SameIssue) -> dict[str, Any]:
    certainty = "likely" if one.is_likely else "possible"
    return {"key": one.key, "score": one.score, "certainty": certainty, "shared_terms": list(one.shared_terms)}


def _needs_person(decided: dict[str, Any], limit: float) -> str:
    if decided["source"] == "default":
        return "needs a person: nothing in it points to a department"
    shares = {decided["department"]: decided["confidence"]}
    for one in decided["alternatives"]:
        shares.setdefault(one["department"], one["confidence"])
    said = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return f"needs a person: no department is sure enough ({said}; {limit:.0%} is needed)"
