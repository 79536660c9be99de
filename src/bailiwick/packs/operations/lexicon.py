"""A weighted lexicon: words and phrases that point to a target, and the scoring of a text against them."""

import math
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

from bailiwick.packs.operations.issue_text import IssueText, words

Where = Literal["label", "title", "body", "quote", "section", "structure", "attributes"]

LEVELS: Mapping[str, float] = {"strong": 3.0, "clear": 2.0, "weak": 1.0}
FIELD_FACTORS: Mapping[Where, float] = {"title": 2.0, "body": 1.0, "quote": 0.25}
"""A title is written to say what an issue is about; a quote is somebody else's text."""

BODY_WORDS_AT_FULL_WEIGHT = 60
"""Longer bodies hold more words by chance, so each counts for less: factor sqrt(60 / words)."""

MAX_REPEAT_FACTOR = 2.0
_NEGATORS = frozenset(words("no not without never isn't doesn't don't wasn't aren't non cannot can't"))


@dataclass(frozen=True)
class Evidence:
    """One thing that drove a decision: the words, where they stood, and the weight they lent."""

    term: str
    where: Where
    weight: float
    target: str


@dataclass(frozen=True)
class Entry:
    """One lexicon line: a phrase as stems, the target it points to, its weight."""

    phrase: str
    stems: tuple[str, ...]
    target: str
    weight: float


@dataclass(frozen=True)
class Feature:
    """A property of a text, the target it points to, its weight."""

    name: str
    target: str
    weight: float


@dataclass(frozen=True)
class Scores:
    """Score per target and everything that made it, heaviest evidence first."""

    by_target: Mapping[str, float]
    evidence: tuple[Evidence, ...]

    def evidence_for(self, target: str, *, limit: int = 8) -> tuple[Evidence, ...]:
        """Return the heaviest evidence for one target or, when it ends in a dot, for all targets below it."""
        if target.endswith("."):
            return tuple(one for one in self.evidence if one.target.startswith(target))[:limit]
        return tuple(one for one in self.evidence if one.target == target)[:limit]


class Lexicon:
    """Scores texts in time linear in their length; immutable once built."""

    def __init__(self, entries: Iterable[Entry], features: Iterable[Feature] = (), *, heed_negation: bool) -> None:
        by_first: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_first[entry.stems[0]].append(entry)
        # Longest first, so that "security audit" is not also counted as "security" for the same target.
        self._by_first = {first: tuple(sorted(found, key=_longest_first)) for first, found in by_first.items()}
        self._features = {feature.name: feature for feature in features}
        self._heed_negation = heed_negation
        self.targets = frozenset(entry.target for found in self._by_first.values() for entry in found)

    def score(
        self, fields: Mapping[Where, str], features: Iterable[str] = (), stated: Iterable[Evidence] = ()
    ) -> Scores:
        """Score texts by field; a repeated phrase counts 1 + ln(times), at most twice its weight.

        ``stated`` is evidence from elsewhere that counts as it is.
        """
        evidence = list(stated)
        for where, text in fields.items():
            if text:
                evidence.extend(self._score_field(where, _stems_of(text)))
        for name in features:
            feature = self._features.get(name)
            if feature is not None:
                evidence.append(Evidence(name, "structure", feature.weight, feature.target))
        by_target: defaultdict[str, float] = defaultdict(float)
        for one in evidence:
            by_target[one.target] += one.weight
        evidence.sort(key=lambda one: (-one.weight, one.term))
        return Scores(dict(by_target), tuple(evidence))

    def _score_field(self, where: Where, stems: tuple[str, ...]) -> list[Evidence]:
        factor = FIELD_FACTORS.get(where, 1.0)
        if where != "title":
            factor *= min(1.0, math.sqrt(BODY_WORDS_AT_FULL_WEIGHT / max(1, len(stems))))
        counts: dict[Entry, int] = {}
        by_first = self._by_first
        covered: dict[str, int] = {}
        for position, first in enumerate(stems):
            candidates = by_first.get(first)
            if candidates is None:
                continue
            for entry in candidates:
                self._count(entry, stems, position, covered, counts)
        return [
            Evidence(entry.phrase, where, round(entry.weight * factor * _repeat_factor(times), 4), entry.target)
            for entry, times in counts.items()
        ]

    def _count(
        self, entry: Entry, stems: tuple[str, ...], position: int, covered: dict[str, int], counts: dict[Entry, int]
    ) -> None:
        end = position + len(entry.stems)
        if covered.get(entry.target, 0) > position:
            return
        if len(entry.stems) > 1 and stems[position:end] != entry.stems:
            return
        if self._heed_negation and _is_negated(stems, position):
            return
        covered[entry.target] = end
        counts[entry] = counts.get(entry, 0) + 1


@lru_cache(maxsize=8)
def _stems_of(text: str) -> tuple[str, ...]:
    # Agent and priority are decided one after the other on the same text.
    return tuple(words(text))


def _longest_first(entry: Entry) -> tuple[int, str]:
    return -len(entry.stems), entry.phrase


def _repeat_factor(times: int) -> float:
    return min(MAX_REPEAT_FACTOR, 1.0 + math.log(times))


def _is_negated(stems: Sequence[str], position: int) -> bool:
    return any(stem in _NEGATORS for stem in stems[max(0, position - 3) : position])


def structure_of(text: IssueText) -> tuple[str, ...]:
    """Name the properties of a text that count as evidence by themselves."""
    found: list[str] = []
    if text.has_stack_trace:
        found.append("stack-trace")
    if text.has_code:
        found.append("code-block")
    if text.title.rstrip().endswith("?"):
        found.append("question-title")
    return tuple(found)


def load_lexicon(file_name: str, *, heed_negation: bool = False) -> Lexicon:
    """Read a lexicon from the pack's data folder.

    Tables nest until one holds the levels ``strong``, ``clear`` and ``weak``;
    the dotted path to it is the target. ``features`` is a table of its own.
    """
    source = resources.files("bailiwick.packs.operations").joinpath(f"data/{file_name}").read_text(encoding="utf-8")
    tables = tomllib.loads(source)
    features = [
        Feature(name, str(row["target"]), float(row["weight"])) for name, row in tables.pop("features", {}).items()
    ]
    return Lexicon(_entries(tables, ""), features, heed_negation=heed_negation)


def _entries(tables: Mapping[str, object], path: str) -> Iterable[Entry]:
    for key, value in tables.items():
        if isinstance(value, list):
            for phrase in value:
                yield Entry(str(phrase), tuple(words(str(phrase))), path, LEVELS[key])
        elif isinstance(value, dict):
            yield from _entries(value, f"{path}.{key}" if path else key)
