"""Resource allocation: requested agents against free capacity, and a rebalancing that moves few issues."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.body import Line, issue_lines
from bailiwick.packs.operations.departments.desk import AgentRow, Desk, IssueFilter, IssueRow
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine
from bailiwick.packs.operations.roster import AGENTS

OPERATION = "resource-allocation"
OVERLOADED = 0.90
UNDERUSED = 0.50
MAX_MOVES = 2

_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_ALIASES = {
    "tester": "qa",
    "engineer": "developer",
    "analyst": "analytics",
    "marketer": "marketing",
    "accountant": "finance",
}
_NAMES = sorted((*AGENTS, *_ALIASES), key=len, reverse=True)
_KINDS = "|".join(re.escape(name).replace(r"\-", "[ -]") for name in _NAMES)
_NUMBER = rf"\d{{1,3}}|{'|'.join(_NUMBERS)}"
_COUNT_FIRST = re.compile(
    rf"\b({_NUMBER})\s{{0,3}}[x\u00d7]?\s{{1,3}}({_KINDS})s?\b(?:\s{{1,3}}agents?)?", re.IGNORECASE
)
_KIND_FIRST = re.compile(
    rf"\b({_KINDS})s?(?:\s{{1,3}}agents?)?\s{{0,3}}[:=|x\u00d7*]\s{{0,3}}(\d{{1,3}})\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Move:
    """One issue that a full agent should hand to a peer of its kind."""

    issue_key: str
    from_agent: str
    to_agent: str


async def allocate_resources(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Match the requested agents with those that have room, and propose moves from full agents to idle peers."""
    requested, places = read_request(issue)
    agents = await desk.agents()
    free = Counter(agent.kind for agent in agents if agent.load < agent.capacity)
    allocated = {kind: min(count, free[kind]) for kind, count in requested.items()}
    moves = plan_moves(agents, await desk.issues(IssueFilter(state="open")))
    total = sum(requested.values())
    efficiency = sum(allocated.values()) / total if total else None
    staff = {kind: [agent.name for agent in _with_room(agents, kind)[:count]] for kind, count in allocated.items()}
    data: JsonObject = {
        "requested": [
            {
                "kind": kind,
                "requested": count,
                "with_room": free[kind],
                "allocated": allocated[kind],
                "agents": staff[kind],
            }
            for kind, count in requested.items()
        ],
        "efficiency": None if efficiency is None else round(efficiency, 4),
        "utilisation": [_load(agent) for agent in sorted(agents, key=lambda one: -one.utilisation)[:20]],
        "moves": [{"issue": move.issue_key, "from": move.from_agent, "to": move.to_agent} for move in moves],
        "limits": {"overloaded_above": OVERLOADED, "peer_below": UNDERUSED, "moves_per_agent": MAX_MOVES},
    }
    full = [agent for agent in agents if agent.utilisation > OVERLOADED]
    evidence = [Evidence(line.source, line.text.strip()[:200]) for line in places]
    evidence += [Evidence(f"agent {agent.name}", f"holds {agent.load} of {agent.capacity}") for agent in full[:10]]
    missing = _missing(requested, agents)
    if missing:
        return cannot_determine(OPERATION, missing, data=data, evidence=evidence)
    said = [
        f"{kind}: {allocated[kind]} of {count} ({', '.join(staff[kind]) or 'nobody has room'})"
        for kind, count in requested.items()
    ]
    said += [f"move {move.issue_key} from {move.from_agent} to {move.to_agent}" for move in moves]
    return WorkResult(
        operation=OPERATION,
        status="done",
        summary=(
            f"{sum(allocated.values())} of {total} requested agents have room (efficiency {efficiency:.0%});"
            f" {len(moves)} move(s) proposed"
        ),
        data=data,
        evidence=tuple(evidence),
        proposed_comment=bullets(said),
        proposed_labels=("capacity-short",) if efficiency is not None and efficiency < 1 else (),
    )


def _missing(requested: dict[str, int], agents: Sequence[AgentRow]) -> list[str]:
    wanted = "the agents wanted: list them as `- 2 qa` or `qa: 2`, one kind per line, names of the fourteen agents"
    return [*([] if requested else [wanted]), *([] if agents else ["active agents: the organization has none"])]


def _load(agent: AgentRow) -> JsonObject:
    return {
        "agent": agent.name,
        "kind": agent.kind,
        "load": agent.load,
        "capacity": agent.capacity,
        "utilisation": round(agent.utilisation, 3),
    }


def read_request(issue: IssueRecord) -> tuple[dict[str, int], list[Line]]:
    """Return how many agents of each kind the issue asks for and the lines that say so; the last figure counts."""
    requested: dict[str, int] = {}
    places: list[Line] = []
    for line in issue_lines(issue):
        if line.source.startswith("comment"):
            break
        pairs = [(kind, count) for count, kind in _COUNT_FIRST.findall(line.text)] or _KIND_FIRST.findall(line.text)
        for kind, count in pairs:
            name = kind.lower().replace(" ", "-")
            number = _NUMBERS.get(count.lower()) or int(count)
            if number:
                requested[_ALIASES.get(name) or name] = number
        if pairs:
            places.append(line)
    return requested, places


def plan_moves(agents: Sequence[AgentRow], open_issues: Sequence[IssueRow]) -> list[Move]:
    """Plan at most two moves from every agent above 90% to peers of its kind below 50%.

    Issues not yet begun move first come last served: the least urgent and newest leave. A move stops when the
    agent is at 90% or less, and no peer is filled beyond 90%.
    """
    loads = {agent.agent_id: agent.load for agent in agents}
    moves: list[Move] = []
    for agent in sorted(agents, key=lambda one: -one.utilisation):
        movable = [row for row in open_issues if row.agent_id == agent.agent_id and row.status in (None, "todo")]
        movable.sort(key=lambda row: (row.priority or "P2", row.created_at), reverse=True)
        for row in movable[:MAX_MOVES]:
            if agent.capacity <= 0 or loads[agent.agent_id] / agent.capacity <= OVERLOADED:
                break
            peer = _idle_peer(agent, agents, loads)
            if peer is None:
                break
            loads[agent.agent_id] -= 1
            loads[peer.agent_id] += 1
            moves.append(Move(row.key, agent.name, peer.name))
    return moves


def _idle_peer(agent: AgentRow, agents: Sequence[AgentRow], loads: dict[str, int]) -> AgentRow | None:
    peers = [
        one
        for one in agents
        if one.kind == agent.kind
        and one.agent_id != agent.agent_id
        and one.capacity > 0
        and loads[one.agent_id] / one.capacity < UNDERUSED
        and (loads[one.agent_id] + 1) / one.capacity <= OVERLOADED
    ]
    return min(peers, key=lambda one: loads[one.agent_id] / one.capacity, default=None)


def _with_room(agents: Sequence[AgentRow], kind: str) -> list[AgentRow]:
    return sorted(
        (one for one in agents if one.kind == kind and one.load < one.capacity), key=lambda one: one.utilisation
    )
