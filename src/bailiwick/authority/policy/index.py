"""Rules made ready: found by what they name, then asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bailiwick.authority.model import Proposal
from bailiwick.authority.policy.circumstances import Circumstances
from bailiwick.authority.policy.conditions import predicate_of
from bailiwick.authority.policy.matching import matcher
from bailiwick.authority.policy.model import Policy, Rule

# Tools times classes that are remembered; more than there are in practice.
_MAX_BUCKETS = 4096

# What a rule may be looked up by, best first: the condition, and how a proposal answers it.
_KEYS = ("agent_id", "agent_name", "target", "agent_kind")


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that speaks, or that would if ``unknown`` could be determined: then it is one that allows."""

    rule: Rule
    unknown: str | None = None

    @property
    def speaks(self) -> bool:
        """Tell whether the rule takes part: one that allows does so only where all it asks is known."""
        return self.unknown is None or self.rule.outcome != "allow"


class _Ready:
    """A rule with its predicates made, but for those of tool and class, which the index answers."""

    __slots__ = ("classes", "fits_tool", "key", "match", "predicates")

    def __init__(self, rule: Rule) -> None:
        self.match = Match(rule)
        self.predicates = tuple(
            (name, predicate_of(name, ask)) for name, ask in rule.when.items() if name not in ("tool", "class")
        )
        # By which of ``_KEYS`` it is found, and under which values; None: always asked.
        self.key = _key_of(rule)
        self.fits_tool = matcher(rule.when["tool"]) if "tool" in rule.when else None
        self.classes: frozenset[str] | None = rule.when.get("class")

    def is_about(self, tool: str, effect_class: str) -> bool:
        """Tell whether it may speak about a tool and class."""
        return (self.classes is None or effect_class in self.classes) and (
            self.fits_tool is None or self.fits_tool(tool)
        )


class _Bucket:
    """The rules that may speak about one tool and class, by agent or target where they name one."""

    __slots__ = ("_always", "_by_key", "_keys")

    def __init__(self, rules: Iterable[_Ready]) -> None:
        always: list[_Ready] = []
        by_key: dict[tuple[str, str | None], list[_Ready]] = {}
        for ready in rules:
            if ready.key is None:
                always.append(ready)
                continue
            name, values = ready.key
            for value in values:
                by_key.setdefault((name, value), []).append(ready)
            # Whoever has no such name may be any of them.
            by_key.setdefault((name, None), []).append(ready)
        self._always = tuple(always)
        self._by_key = {key: tuple(found) for key, found in by_key.items()}
        self._keys = tuple(name for name in _KEYS if (name, None) in by_key)

    def candidates(self, proposal: Proposal) -> tuple[_Ready, ...]:
        found = self._always
        for name in self._keys:
            found += self._by_key.get((name, getattr(proposal, name)), ())
        return found


class RuleIndex:
    """A policy compiled for deciding. Built once per version, shared by all decisions, never changed.

    ``matching`` gives the same rules as asking each of them in turn would.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._by_tool: dict[str, list[_Ready]] = {}
        self._any_tool: list[_Ready] = []
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        for rule in policy.rules:
            self._add(rule)

    def matching(self, around: Circumstances) -> list[Match]:
        """Return every rule none of whose conditions is known not to hold, in no particular order."""
        proposal = around.proposal
        key = (proposal.tool, proposal.effect_class)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._remember(key)
        found: list[Match] = []
        for ready in bucket.candidates(proposal):
            unknown = None
            for name, predicate in ready.predicates:
                holds = predicate(around)
                if holds is False:
                    break
                if holds is None:
                    unknown = name
            else:
                found.append(ready.match if unknown is None else Match(ready.match.rule, unknown))
        return found

    def _add(self, rule: Rule) -> None:
        ready = _Ready(rule)
        tools: Sequence[str] = rule.when.get("tool", ())
        if tools and not any("*" in tool for tool in tools):
            for tool in dict.fromkeys(tools):
                self._by_tool.setdefault(tool, []).append(ready)
        else:
            self._any_tool.append(ready)

    def _remember(self, key: tuple[str, str]) -> _Bucket:
        rules = (*self._by_tool.get(key[0], ()), *self._any_tool)
        bucket = _Bucket(ready for ready in rules if ready.is_about(*key))
        if len(self._buckets) >= _MAX_BUCKETS:
            self._buckets.clear()
        self._buckets[key] = bucket
        return bucket


def _key_of(rule: Rule) -> tuple[str, tuple[str, ...]] | None:
    for name in _KEYS:
        values: tuple[str, ...] | None = rule.when.get(name)
        if values and not any("*" in value for value in values):
            return name, tuple(dict.fromkeys(values))
    return None


NO_POLICY = RuleIndex(Policy())
