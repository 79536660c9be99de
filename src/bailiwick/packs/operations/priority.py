"""How urgent an issue is: what people said (label, section), else what the words say, else P2."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from bailiwick.packs.operations.classification import SHRINKAGE, ScreenedText, blend, distribution_of, screen_issue
from bailiwick.packs.operations.lexicon import Evidence, Lexicon, Scores, load_lexicon
from bailiwick.packs.operations.roster import label_parts

if TYPE_CHECKING:
    from bailiwick.packs.operations.classification_learned import TextClassifier


class Priority(IntEnum):
    """P0 is the most urgent; the number is the task priority."""

    P0 = 0
    P1 = 1
    P2 = 2
    P3 = 3


PrioritySource = Literal["label", "section", "words", "learned", "default"]

DEFAULT_PRIORITY = Priority.P2
DEFAULT_CONFIDENCE = 0.5
"""Stated confidence of the default: P2 is the most usual priority, and nothing in the text says otherwise."""

EVIDENCE_SCALE = 3.0
"""Words say less about urgency than about the subject, so they need twice the weight for the same strength."""

WORDS_NEEDED = 0.5
"""Probability from words at which they overrule the default. P2 itself needs no words."""

LABEL_CONFIDENCE = 1.0
SECTION_CONFIDENCE = 0.9

_SPELLINGS: Mapping[Priority, tuple[str, ...]] = MappingProxyType(
    {
        Priority.P0: ("p0", "blocker", "emergency", "outage", "sev0", "sev1", "s0", "highest", "release-blocker"),
        Priority.P1: ("p1", "critical", "urgent", "high", "high-priority", "important", "sev2", "s1", "asap"),
        Priority.P2: ("p2", "major", "medium", "normal", "moderate", "standard", "default", "sev3", "s2"),
        Priority.P3: (
            "p3",
            "p4",
            "p5",
            "minor",
            "low",
            "low-priority",
            "trivial",
            "lowest",
            "cosmetic",
            "backlog",
            "sev4",
            "s3",
        ),
    }
)
"""How people write priorities. Jira's five names map Blocker, Critical, Major, Minor and Trivial
to P0, P1, P2, P3 and P3; a P4 backlog is P3, the slowest that has an SLA."""

_BY_SPELLING: Mapping[str, Priority] = MappingProxyType(
    {spelling: priority for priority, spellings in _SPELLINGS.items() for spelling in spellings}
)
# These say something about an issue without any scope; "high" or "normal" alone could mean anything.
_CLEAR_ALONE = frozenset(_BY_SPELLING) - {
    "high", "highest", "important", "major", "medium", "normal", "moderate", "standard", "default", "minor", "low",
    "lowest", "s0", "s1", "s2", "s3", "backlog",
}  # fmt: skip
_SCOPES = frozenset({"priority", "prio", "severity", "sev", "urgency", "p", "importance", "impact", "pri"})
_IN_WORDS = re.compile(r"^(?:priority|prio|severity|urgency)-(.{1,30})$|^(.{1,30})-(?:priority|prio|severity|urgency)$")
# "priority: 1 (critical)": the first number or known word decides.
_NUMBERED = re.compile(r"^p?([0-5])$")
# "P3-backlog"
_P_LEVEL = re.compile(r"^(p[0-5])-")


@dataclass(frozen=True)
class PriorityDecision:
    """The priority of an issue, how sure it is and what said so.

    ``confidence``: 1.0 for a label, 0.9 for the author's own section, otherwise
    the probability by words or history (``distribution_of``), 0.5 for the default.
    """

    priority: Priority
    confidence: float
    source: PrioritySource
    evidence: tuple[Evidence, ...]
    probabilities: Mapping[str, float]
    suspicious: tuple[str, ...] = ()


def priority_of_label(label: str) -> Priority | None:
    """Read a priority label in any of the usual spellings, or None when it is none."""
    scope, name = label_parts(label)
    if scope in _SCOPES:
        return _of_words(name, numbers=scope not in {"severity", "sev"})
    if scope is not None and name not in _CLEAR_ALONE:
        return None
    found = _IN_WORDS.match(name)
    if found is not None:
        return _of_words(found.group(1) or found.group(2), numbers=True)
    if name in _CLEAR_ALONE:
        return _BY_SPELLING[name]
    level = _P_LEVEL.match(name)
    return None if level is None else _BY_SPELLING[level.group(1)]


def priority_of_value(value: str) -> Priority | None:
    """Read the value of a priority field or section ("High", "P1 - urgent", "Blocker"), or None."""
    return _of_words(label_parts(value[:100].partition("\n")[0].replace("/", " ").replace(":", " "))[1], numbers=True)


def _of_words(slug: str, *, numbers: bool) -> Priority | None:
    if slug in _BY_SPELLING:
        return _BY_SPELLING[slug]
    parts = slug.split("-")
    # A named level wins over a number beside it: scales are numbered in both directions.
    for part in parts:
        if part in _BY_SPELLING:
            return _BY_SPELLING[part]
    number = _NUMBERED.match(parts[0]) if numbers else None
    return None if number is None else Priority(min(3, int(number.group(1))))


class PriorityClassifier:
    """Decides P0 to P3 for an issue; without history by words, with it also by what people decided before."""

    def __init__(self, learned: "TextClassifier | None" = None, *, lexicon: Lexicon | None = None) -> None:
        self._learned = learned if learned is not None and learned.samples else None
        self._lexicon = lexicon or load_lexicon("priority.toml", heed_negation=True)

    def classify(self, title: str, body: str = "", labels: Sequence[str] = ()) -> PriorityDecision:
        """Say how urgent an issue is; the most urgent of several priority labels counts. Never fails on any text."""
        return self.classify_text(screen_issue(title, body), labels)

    def classify_text(self, screened: ScreenedText, labels: Sequence[str] = ()) -> PriorityDecision:
        """Decide on a text that is already screened."""
        by_label = [(priority, label) for label in labels if (priority := priority_of_label(label)) is not None]
        if by_label:
            priority, label = min(by_label)
            return _said(priority, "label", LABEL_CONFIDENCE, label, screened)
        section = screened.text.sections.get("priority", "")
        said = priority_of_value(section) if section else None
        if said is not None:
            return _said(said, "section", SECTION_CONFIDENCE, section[:100], screened)
        return self._by_words(screened)

    def _by_words(self, screened: ScreenedText) -> PriorityDecision:
        text = screened.text
        scores = self._lexicon.score({"title": text.title, "body": text.prose, "quote": screened.quotes})
        shares = distribution_of(scores.by_target, scale=EVIDENCE_SCALE)
        if self._learned is not None:
            return self._by_history(screened, scores, shares)
        best = max(shares, key=lambda name: (shares[name], name), default=None)
        if best is None or best == DEFAULT_PRIORITY.name or shares[best] < WORDS_NEEDED:
            return _default(screened, shares)
        return PriorityDecision(
            Priority[best], round(shares[best], 4), "words", scores.evidence_for(best), shares, screened.suspicious
        )

    def _by_history(self, screened: ScreenedText, scores: Scores, shares: dict[str, float]) -> PriorityDecision:
        learned = self._learned
        if learned is None:
            return _default(screened, shares)
        prediction = learned.predict(screened.text)
        blended = blend(shares, prediction.probabilities, learned.samples)
        # What the words leave open belongs to the default, for as long as history is short.
        open_share = (1.0 - sum(shares.values())) * SHRINKAGE / (learned.samples + SHRINKAGE)
        blended[DEFAULT_PRIORITY.name] = blended.get(DEFAULT_PRIORITY.name, 0.0) + open_share
        best = max(blended, key=lambda name: (blended[name], name))
        own = tuple(one for one in prediction.evidence if one.target == best)
        return PriorityDecision(
            Priority[best],
            round(blended[best], 4),
            "learned",
            (*own, *scores.evidence_for(best)),
            blended,
            screened.suspicious,
        )


def _said(
    priority: Priority, source: PrioritySource, confidence: float, words_said: str, screened: ScreenedText
) -> PriorityDecision:
    where: Literal["label", "section"] = "label" if source == "label" else "section"
    evidence = (Evidence(words_said, where, confidence, priority.name),)
    return PriorityDecision(priority, confidence, source, evidence, {priority.name: confidence}, screened.suspicious)


def _default(screened: ScreenedText, shares: Mapping[str, float]) -> PriorityDecision:
    return PriorityDecision(DEFAULT_PRIORITY, DEFAULT_CONFIDENCE, "default", (), shares, screened.suspicious)
