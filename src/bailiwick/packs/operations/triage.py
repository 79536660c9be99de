"""Triage: whose work an issue is and how urgent, decided with what the organization's own history taught."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.loading import loaded
from bailiwick.packs.operations.classification import Classification, IssueClassifier, screen_issue
from bailiwick.packs.operations.lexicon import Evidence
from bailiwick.packs.operations.priority import PriorityClassifier, PriorityDecision
from bailiwick.packs.operations.roster import AGENTS
from bailiwick.storage import Database

# With what NumPy computes; an organization whose history taught nothing does without.
_LEARNED = "bailiwick.packs.operations.classification_learned"
_CACHED_ORGANIZATIONS = 256
_FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Triage:
    """Both decisions about one issue. ``learned_from`` counts the labelled issues that took part, 0 for none."""

    department: Classification
    priority: PriorityDecision
    learned_from: int

    @property
    def operation(self) -> str:
        """The operation asked for; the department's first where none is named."""
        return self.department.operation or AGENTS[self.department.agent].operations[0].name

    def to_json(self) -> dict[str, Any]:
        """Return both decisions as they are stored with the issue and shown."""
        department, priority = self.department, self.priority
        return {
            "department": department.agent,
            "operation": self.operation,
            "operation_named": department.operation is not None,
            "confidence": department.confidence,
            "operation_confidence": department.operation_confidence,
            "source": department.source,
            "evidence": [_evidence(one) for one in department.evidence],
            "alternatives": [
                {"department": one.agent, "operation": one.operation, "confidence": one.confidence}
                for one in department.alternatives
            ],
            "priority": priority.priority.name,
            "priority_confidence": priority.confidence,
            "priority_source": priority.source,
            "priority_evidence": [_evidence(one) for one in priority.evidence],
            "set_aside": list(department.suspicious),
            "truncated": department.truncated,
            "learned_from": self.learned_from,
        }


@dataclass(frozen=True, slots=True)
class _Deciders:
    version: str
    departments: IssueClassifier
    priorities: PriorityClassifier
    samples: int


class Triages:
    """Decides for every organization; learned weights are read once per version and kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._plain = _Deciders("", IssueClassifier(), PriorityClassifier(), 0)
        self._learned: dict[str, _Deciders] = {}
        self._asked: dict[str, tuple[float, _Deciders]] = {}

    async def deciders_of(self, organization_id: str) -> "_Deciders":
        """Return the classifiers of an organization, at most a second behind the newest; unlearned where none is."""
        asked_at, deciders = self._asked.get(organization_id, (-math.inf, self._plain))
        if time.monotonic() - asked_at < _FRESH_SECONDS:
            return deciders
        deciders = await self._newest(organization_id)
        if len(self._asked) >= _CACHED_ORGANIZATIONS:
            self._asked.pop(next(iter(self._asked)))
        self._asked[organization_id] = (time.monotonic(), deciders)
        return deciders

    async def _newest(self, organization_id: str) -> "_Deciders":
        rows = await self._database.fetch_all(
            "select distinct on (purpose) id, purpose from issue_classifiers where organization_id = %s "
            "order by purpose, id desc",
            (organization_id,),
            organization_id=organization_id,
        )
        if not rows:
            return self._plain
        version = ",".join(row["id"] for row in rows)
        known = self._learned.get(organization_id)
        if known is None or known.version != version:
            known = await self._load(organization_id, version, {row["purpose"]: row["id"] for row in rows})
            if len(self._learned) >= _CACHED_ORGANIZATIONS:
                self._learned.pop(next(iter(self._learned)))
            self._learned[organization_id] = known
        return known

    async def _load(self, organization_id: str, version: str, ids: Mapping[str, str]) -> "_Deciders":
        rows = await self._database.fetch_all(
            "select purpose, weights, samples from issue_classifiers "
            "where organization_id = %s and id = any(%s::uuid[])",
            (organization_id, list(ids.values())),
            organization_id=organization_id,
        )
        module = await loaded(_LEARNED)
        learned = {row["purpose"]: module.TextClassifier.from_bytes(bytes(row["weights"])) for row in rows}
        samples = max(row["samples"] for row in rows)
        return _Deciders(
            version, IssueClassifier(learned.get("department")), PriorityClassifier(learned.get("priority")), samples
        )


def triage(issue: IssueRecord, deciders: "_Deciders") -> Triage:
    """Decide on one issue; pure, a few milliseconds for the longest text."""
    screened = screen_issue(issue.title, issue.body)
    return Triage(
        deciders.departments.classify_text(screened, issue.labels),
        deciders.priorities.classify_text(screened, issue.labels),
        deciders.samples,
    )


def clock_of(issue: IssueRecord, *, is_reopened: bool) -> datetime:
    """Return when an issue's service-level clock starts: at its opening, or when it was opened again."""
    return (issue.updated_at or issue.created_at) if is_reopened else issue.created_at


def _evidence(one: Evidence) -> dict[str, Any]:
    return {"term": one.term, "where": one.where, "weight": one.weight, "for": one.target}
