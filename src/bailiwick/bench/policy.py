"""``bailiwick bench policy``: decisions per second by a thousand rules, beside asking every rule in turn."""

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bailiwick.authority.deciding import decide
from bailiwick.authority.model import EffectClass, Proposal
from bailiwick.authority.policy import Policy, RuleIndex, read_policy
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.conditions import Predicate, predicate_of
from bailiwick.authority.policy.index import Match
from bailiwick.bench.report import Bound, Report, ratio
from bailiwick.kernel.errors import InternalError
from bailiwick.kernel.ids import new_id

RULES = 1_000
_PROPOSALS = 4_000
_ROUNDS = 5
_LIMIT_PER_SECOND = 20_000.0
_SYSTEMS = ("github", "mail", "chat", "pay", "crm", "meter", "building", "supplier", "report", "deploy")
_VERBS: tuple[tuple[str, EffectClass], ...] = (
    ("read", "read"), ("search", "read"), ("create", "write"), ("update", "write"), ("comment", "external"),
    ("send", "external"), ("pay", "spend"), ("order", "spend"), ("delete", "destructive"), ("close", "write"),
)  # fmt: skip
_KINDS = ("clerk", "guard", "buyer", "optimizer", "reporter")
_AGENTS = [f"{kind}-{number}" for kind in _KINDS for number in range(20)]
_ORGANIZATION = "0199b6ff-b66f-7000-8000-000000000002"
_AT = datetime(2026, 3, 4, 10, tzinfo=UTC)


class LinearScan(RuleIndex):
    """The rival: the same rules and predicates, each asked for every proposal."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._asked: list[tuple[Match, tuple[tuple[str, Predicate], ...]]] = [
            (Match(rule), tuple((name, predicate_of(name, ask)) for name, ask in rule.when.items()))
            for rule in policy.rules
        ]

    def matching(self, around: Circumstances) -> list[Match]:
        """Ask every rule in turn, each until its first condition that does not hold."""
        found: list[Match] = []
        for match, predicates in self._asked:
            unknown = None
            for name, predicate in predicates:
                holds = predicate(around)
                if holds is False:
                    break
                if holds is None:
                    unknown = name
            else:
                found.append(match if unknown is None else Match(match.rule, unknown))
        return found


async def measure_policy(*, say: Callable[[str], None]) -> Report:
    """Decide the same proposals by the index and by the scan, after checking that both decide alike."""
    return await asyncio.to_thread(_measure, say)


def _measure(say: Callable[[str], None]) -> Report:
    chance = random.Random(20260307)  # noqa: S311 - the same rules in every run
    source = policy_source(chance)
    began = time.perf_counter()
    policy = read_policy(source, version=1)
    read_seconds = time.perf_counter() - began
    index, scan = RuleIndex(policy), LinearScan(policy)
    proposals = [_proposal(chance) for _ in range(_PROPOSALS)]
    outcomes = _check_alike(index, scan, proposals[:500])
    say(f"{len(policy.rules):,} rules, {len(proposals):,} proposals of {len({one.tool for one in proposals})} tools")
    indexed = [_rate(RuleIndex(policy), proposals) for _ in range(_ROUNDS)]
    say("the same with every rule asked in turn")
    scanned = _rate(scan, proposals[:400])
    figures: dict[str, float | None] = {
        "decisions_per_second": round(statistics.median(indexed), 1),
        "decisions_per_second_slowest_round": round(min(indexed), 1),
        "linear_scan_decisions_per_second": round(scanned, 1),
        "decisions_to_linear_scan": ratio(statistics.median(indexed), scanned),
        "rules": float(len(policy.rules)),
        "read_and_check_seconds": round(read_seconds, 3),
        "rules_matching_on_average": round(_matching_on_average(index, proposals), 2),
    }
    bound = Bound("decisions per second", figures["decisions_per_second"], _LIMIT_PER_SECOND, at_least=True)
    details = {
        "outcomes_of_500": outcomes,
        "rounds": _ROUNDS,
        "each round": "a fresh index, so finding the rules of each tool is in the figure",
    }
    return Report("policy", figures, [bound], details)


def _rate(index: RuleIndex, proposals: Sequence[Proposal]) -> float:
    gc.collect()
    began = time.perf_counter()
    for number, proposal in enumerate(proposals):
        decide(index, proposal, 2 + number % 3)
    return len(proposals) / (time.perf_counter() - began)


def _check_alike(index: RuleIndex, scan: RuleIndex, proposals: Sequence[Proposal]) -> dict[str, int]:
    outcomes = {"allow": 0, "approve": 0, "deny": 0}
    for proposal in proposals:
        one, other = decide(index, proposal, 3), decide(scan, proposal, 3)
        if (one.outcome, one.rule, one.considered) != (other.outcome, other.rule, other.considered):
            raise InternalError(f"index and scan disagree about {proposal}; please report it")
        outcomes[one.outcome] += 1
    return outcomes


def _matching_on_average(index: RuleIndex, proposals: Sequence[Proposal]) -> float:
    return statistics.fmean(len(index.matching(Circumstances(proposal, 3))) for proposal in proposals[:500])


def _proposal(chance: random.Random) -> Proposal:
    verb, effect_class = chance.choice(_VERBS)
    system = chance.choice(_SYSTEMS)
    agent = chance.choice(_AGENTS)
    return Proposal(
        organization_id=_ORGANIZATION,
        task_id=new_id(),
        tool=f"{system}.{verb}",
        effect_class=effect_class,
        arguments={"count": chance.randrange(40), "state": chance.choice(["open", "closed"])},
        target=f"{system}:site-{chance.randrange(60)}/{chance.randrange(1000)}",
        at=_AT + timedelta(minutes=chance.randrange(7 * 24 * 60)),
        agent_id=agent,
        agent_kind=agent.rpartition("-")[0],
        agent_name=agent,
        price=Decimal(chance.randrange(20_000)) / 10,
        is_reversible=effect_class in ("read", "write"),
        labels=frozenset({"untrusted:mail"} if chance.random() < 0.2 else {"by:user:7"}),
        confidence=round(chance.random(), 2) if chance.random() < 0.8 else None,
        risk=round(chance.random() * 10, 1) if chance.random() < 0.7 else None,
    )


def policy_source(chance: random.Random, rules: int = RULES) -> str:
    """Return a policy of many kinds of rule, as YAML: of tools, sites, agents, money, risk, hours, labels, arguments.

    In the proportions of a grown rule book: most rules name a tool and a site
    or an agent, some a family of tools, few speak about everything.
    """
    lines = ["approval: {roles: [admin], quorum: 1}", "rules:"]
    lines += [f"  - {{name: rule-{number}, when: {{{_when(chance)}}}, {_then(chance)}}}" for number in range(rules)]
    return "\n".join(lines)


def _when(chance: random.Random) -> str:
    system, (verb, effect_class) = chance.choice(_SYSTEMS), chance.choice(_VERBS)
    tool = f"tool: {system}.{verb}"
    site = f'target: "{system}:site-{chance.randrange(60)}/*"'
    agent = chance.choice(_AGENTS)
    kinds: tuple[tuple[float, str], ...] = (
        (30, f"{tool}, {site}, price: {{above: {chance.randrange(1500)}}}"),
        (20, f"{tool}, agent: {agent}"),
        (15, f'tool: "{system}.*", agent: {{kind: {chance.choice(_KINDS)}}}, {site}'),
        (10, f"{tool}, risk: {{at_least: {chance.randrange(4, 10)}}}"),
        (8, f"class: {effect_class}, agent: {agent}, confidence: {{below: 0.{chance.randrange(1, 9)}}}"),
        (7, f"{tool}, arguments: {{state: closed, count: {{above: {chance.randrange(20, 40)}}}}}"),
        (6, f'{tool}, time: {{days: [sat, sun], hours: "0{chance.randrange(10)}:00-18:00", zone: Europe/Berlin}}'),
        (3, f'tool: "{system}.*", labels: {{present: "untrusted:*"}}, {site}'),
        (1, f'class: {effect_class}, price: {{above: {1900 + chance.randrange(90)}}}, labels: {{absent: "by:*"}}'),
    )
    return chance.choices([text for _, text in kinds], [weight for weight, _ in kinds])[0]


def _then(chance: random.Random) -> str:
    return chance.choices(
        ["then: allow", "then: approve", "then: approve, approval: {roles: [owner], quorum: 2}", "then: deny"],
        [40, 25, 10, 25],
    )[0]
