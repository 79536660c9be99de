"""Explains why something did or did not happen, within one organization."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bailiwick.authority import Policies
from bailiwick.authority.deciding import CEILING
from bailiwick.authority.decisions import Decisions, RecordedDecision
from bailiwick.installation.explanation import (
    AboutKind,
    Chain,
    ExplainedDecision,
    ExplainedProposal,
    Explanation,
    RuleText,
)
from bailiwick.installation.tracing import TracedEvent, TracedTask, Tracer
from bailiwick.kernel.errors import NotFoundError
from bailiwick.kernel.ids import INSTALLATION, parse_id
from bailiwick.storage import Database, Row

# An explanation of more is cut; it says so.
MAX_TASKS = 200

_EFFECT = (
    "id, task_id, seq, round, tool, tool_version, effect_class, target, arguments, observed, price, state, "
    "decision_id, approval_id, reason, problem, result, evidence, undo_until, reverts, proposed_at, began_at, ended_at"
)
_APPROVAL = (
    "id, effect_id, state, is_by_silence, roles, quorum, on_expiry, asked_at, expires_at, ended_at, problem, digest"
)
_OUTCOME = 'id, effect_id, task_id, "check", claim, state, evidence, missing, check_at, checked_at'

_Node = TracedEvent | TracedTask


class Explainer:
    """Follows what was asked for through all that is recorded about it. Reads only; made for one question."""

    def __init__(self, database: Database, policies: Policies) -> None:
        self._database = database
        self._tracer = Tracer(database)
        self._decisions = Decisions(database)
        self._policies = policies
        # Of each version that was met, where its rules begin and how they are written.
        self._rules: dict[tuple[str, int], Mapping[str, tuple[int, str]]] = {}

    async def explain(self, organization_id: str, about: str) -> Explanation:
        """Explain an effect, decision, approval, task or event by id, or everything about a key.

        Of an effect, decision or approval it is the one proposal; of a task that
        and what followed from it; of an event or key all tasks that did.

        Raises:
            NotFoundError: nothing of that id or key is here.
        """
        identifier = parse_id(about)
        found = None if identifier is None else await self._of_proposal(organization_id, identifier)
        kind, task_id, of_one = found or ("key", None, None)
        try:
            trace = await self._tracer.trace(organization_id, task_id or about)
        except NotFoundError as error:
            raise NotFoundError(
                f"no effect, decision, approval, task, event or issue {about[:200]!r} in this organization; "
                "another is named with --org"
            ) from error
        paths = list(_paths(trace.roots, ()))
        asked_for = next((path[-1] for path in paths if path[-1].id == (task_id or identifier)), None)
        if asked_for is not None:
            paths = [path for path in paths if asked_for in path]
        if of_one is not None:
            paths = [path for path in paths if path[-1] is asked_for]
        elif asked_for is not None:
            kind = "event" if isinstance(asked_for, TracedEvent) else "task"
        tasks = [path for path in paths if isinstance(path[-1], TracedTask)]
        chains = await self._chains(organization_id, tasks[:MAX_TASKS], of_one)
        return Explanation(
            about, kind, chains, trace.is_cut or len(tasks) > MAX_TASKS,
            "" if tasks else "Nothing happened: the event is recorded, and no task follows from its type.",
        )  # fmt: skip

    async def _of_proposal(self, organization_id: str, identifier: str) -> tuple[AboutKind, str, str] | None:
        """Return what an id is, its task, and the effect's or decision's id it stands for."""
        row = await self._database.fetch_one(
            "select 'effect' as kind, task_id, id as one from effects where organization_id = %(org)s and id = %(id)s "
            "union all select 'approval', task_id, effect_id from approvals "
            "where organization_id = %(org)s and id = %(id)s "
            "union all select 'decision', d.task_id, coalesce(e.id, d.id) from decisions d "
            "left join effects e on e.organization_id = d.organization_id and e.task_id = d.task_id "
            "and e.decision_id = d.id where d.organization_id = %(org)s and d.id = %(id)s",
            {"org": organization_id, "id": identifier},
            organization_id=organization_id,
        )
        return None if row is None else (row["kind"], row["task_id"], row["one"])

    async def _chains(
        self, organization_id: str, paths: Sequence[tuple[_Node, ...]], of_one: str | None
    ) -> tuple[Chain, ...]:
        ids = [path[-1].id for path in paths]
        proposals = await self._proposals(organization_id, ids)
        outcomes = await self._rows(
            organization_id, f"select {_OUTCOME} from outcomes where organization_id = %s "
            "and task_id = any(%s::uuid[]) and effect_id is null order by id", ids,
        )  # fmt: skip
        chains: list[Chain] = []
        for path in paths:
            task = path[-1]
            mine = proposals.get(task.id, ())
            if of_one is not None:
                mine = tuple(one for one in mine if _stands_for(one, of_one))
            own = tuple(row for row in outcomes if row["task_id"] == task.id)
            chains.append(Chain(tuple(_before(node) for node in path[:-1]), _task(task), mine, own))
        return tuple(chains)

    async def _proposals(self, organization_id: str, task_ids: list[str]) -> dict[str, tuple[ExplainedProposal, ...]]:
        """Return what was proposed in tasks, by task: an effect with its decisions, or decisions nothing came of."""
        in_tasks = "where organization_id = %s and task_id = any(%s::uuid[])"
        effects = await self._rows(organization_id, f"select {_EFFECT} from effects {in_tasks} order by id", task_ids)
        effect_ids = [row["id"] for row in effects]
        moves = await self._rows(
            organization_id, "select effect_id, state, at, note from effect_moves where organization_id = %s "
            "and effect_id = any(%s::uuid[]) order by effect_id, seq", effect_ids,
        )  # fmt: skip
        approvals = await self._approvals(organization_id, effect_ids)
        outcomes = await self._rows(
            organization_id, f"select {_OUTCOME} from outcomes where organization_id = %s "
            "and effect_id = any(%s::uuid[]) order by id", effect_ids,
        )  # fmt: skip
        found: dict[str, list[ExplainedProposal]] = {}
        by_effect = {row["decision_id"]: row["id"] for row in effects}
        decided: dict[str, list[ExplainedDecision]] = {}
        for decision in await self._decisions.of_tasks(organization_id, task_ids):
            explained = ExplainedDecision(decision, await self._rule_text(organization_id, decision))
            effect_id = by_effect.get(decision.id)
            if effect_id is not None:
                decided.setdefault(effect_id, []).append(explained)
            else:
                proposal = ExplainedProposal(decision.tool, decision.target, (explained,))
                found.setdefault(decision.task_id, []).append(proposal)
        for row in effects:
            proposal = ExplainedProposal(
                row["tool"], row["target"], tuple(decided.get(row["id"], ())), row,
                _of(moves, row["id"]), _of(approvals, row["id"]), _of(outcomes, row["id"]),
            )  # fmt: skip
            found.setdefault(row["task_id"], []).append(proposal)
        return {task_id: tuple(proposals) for task_id, proposals in found.items()}

    async def _approvals(self, organization_id: str, effect_ids: list[str]) -> list[Row]:
        approvals = await self._rows(
            organization_id, f"select {_APPROVAL} from approvals where organization_id = %s "
            "and effect_id = any(%s::uuid[]) order by id", effect_ids,
        )  # fmt: skip
        answers = await self._rows(
            organization_id, "select approval_id, decision, answered_by, answered_by_name, reason, via, answered_at "
            "from approval_answers where organization_id = %s and approval_id = any(%s::uuid[]) order by id",
            [row["id"] for row in approvals],
        )  # fmt: skip
        return [{**row, "answers": [one for one in answers if one["approval_id"] == row["id"]]} for row in approvals]

    async def _rows(self, organization_id: str, sql: str, ids: list[str]) -> list[Row]:
        if not ids:
            return []
        return await self._database.fetch_all(sql, (organization_id, ids), organization_id=organization_id)

    async def _rule_text(self, organization_id: str, decision: RecordedDecision) -> RuleText | None:
        if decision.voice != "rule":
            return None
        is_ceiling = decision.rule.startswith(CEILING)
        version = decision.ceiling_version if is_ceiling else decision.policy_version
        name = decision.rule.removeprefix(CEILING)
        key = (INSTALLATION if is_ceiling else organization_id, version)
        if key not in self._rules:
            self._rules[key] = await self._policies.rule_texts(*key)
        found = self._rules[key].get(name)
        return None if found is None else RuleText(name, version, *found, is_ceiling)


def _paths(nodes: Sequence[_Node], above: tuple[_Node, ...]) -> Iterator[tuple[_Node, ...]]:
    for node in nodes:
        path = (*above, node)
        yield path
        yield from _paths(node.followed_by, path)


def _before(node: _Node) -> dict[str, Any]:
    if isinstance(node, TracedEvent):
        return {"what": "event", "id": node.id, "name": node.type, "key": node.key, "at": node.recorded_at}
    return {"what": "task", "id": node.id, "name": node.kind, "key": None, "at": node.inserted_at}


def _task(node: _Node) -> dict[str, Any]:
    assert isinstance(node, TracedTask)
    names = ("id", "kind", "state", "agent", "choice", "reason", "result", "errors", "inserted_at", "finished_at")
    return {name: getattr(node, name) for name in names}


def _of(rows: list[Row], effect_id: str) -> tuple[Row, ...]:
    return tuple(row for row in rows if row["effect_id"] == effect_id)


def _stands_for(proposal: ExplainedProposal, identifier: str) -> bool:
    if proposal.effect is not None:
        return proposal.effect["id"] == identifier
    return any(one.decision.id == identifier for one in proposal.decisions)
