"""Which agent an issue belongs to: by its labels, else its title, else its body, with the evidence that decided."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bailiwick.packs.operations.injection import screen
from bailiwick.packs.operations.issue_text import IssueText, read_issue_text
from bailiwick.packs.operations.lexicon import Evidence, Lexicon, Scores, Where, load_lexicon, structure_of
from bailiwick.packs.operations.roster import AGENTS, LabelMatch, match_label, match_labels

if TYPE_CHECKING:
    from bailiwick.packs.operations.classification_learned import TextClassifier

Source = Literal["label", "title", "body", "learned", "default"]

DEFAULT_AGENT = "operations"
"""Who takes an issue that nothing points elsewhere.

The source documents disagree: the coordinator says operations, the workflow
developer. Operations is right: an unclear issue needs somebody to read it, and
the developer would start to write code without a specification.
"""

TITLE_IS_ENOUGH = 0.9
"""Confidence from the title alone at which the body is not asked."""

EVIDENCE_SCALE = 1.5
"""One strong body word (weight 3) gives a strength of 1 - exp(-2) = 0.86. Chosen for the least calibration
error (0.09) on the labelled part of two sets, the demo issues and 49 older issues of npm projects."""

SECTION_CONFIDENCE = 0.9
SECTION_WEIGHT = 3.0
"""The author's own ``Type:`` answer counts nine tenths of a label that a triager set when it
names an agent or operation. A general word ("incident", "bug") is one strong piece of evidence."""

MAX_TYPE_CHARS = 100
REST_OF_AGENT = 0.5
"""Evidence for an agent's other operations counts half towards the agent."""

SHRINKAGE = 50
SHRINKAGE_UNSEEN = 250
"""Labelled issues at which history and lexicon weigh the same: for targets history
has seen, and for targets it has not. History cannot judge what it never saw, but a
long history without a target makes that target less likely."""

MIN_CONFIDENCE = 0.1
"""Below this the evidence decides nothing and the default agent takes the issue."""


@dataclass(frozen=True)
class Alternative:
    """Another agent that the evidence allows, with its confidence."""

    agent: str
    operation: str | None
    confidence: float


@dataclass(frozen=True)
class Classification:
    """The agent an issue belongs to and why.

    ``confidence`` is the probability that the agent is right; ``operation_confidence``
    that the operation is right too. For ``label`` it is the rule's stated figure; for
    ``title`` and ``body`` it is share x strength (``distribution_of``); for ``learned``
    it is calibrated on held-out history. ``suspicious`` holds passages that gave orders
    to an automated reader; they were neither obeyed nor scored.
    """

    agent: str
    operation: str | None
    confidence: float
    source: Source
    evidence: tuple[Evidence, ...]
    alternatives: tuple[Alternative, ...] = ()
    operation_confidence: float = 0.0
    suspicious: tuple[str, ...] = ()
    truncated: bool = False


@dataclass(frozen=True)
class ScreenedText:
    """An issue's text without the passages that were set aside, and those passages."""

    text: IssueText
    quotes: str
    suspicious: tuple[str, ...]


def screen_issue(title: str, body: str) -> ScreenedText:
    """Read an issue's text and set aside what addresses a machine with orders."""
    text = read_issue_text(title, body)
    visible = (text.title, *text.body_lines, *text.quoted_lines)
    screened = screen(visible, (*text.hidden_lines, *text.code_lines))
    if not screened.suspicious:
        return ScreenedText(text, "\n".join(text.quoted_lines), ())
    last_body = 1 + len(text.body_lines)
    kept = IssueText(
        title=screened.lines[0],
        body_lines=screened.lines[1:last_body],
        quoted_lines=screened.lines[last_body:],
        code_lines=text.code_lines,
        hidden_lines=text.hidden_lines,
        sections=text.sections,
        has_code=text.has_code,
        has_stack_trace=text.has_stack_trace,
        truncated=text.truncated,
    )
    return ScreenedText(kept, "\n".join(kept.quoted_lines), screened.suspicious)


class IssueClassifier:
    """Routes issues to agents; without history by labels and lexicon, with it also by what people decided before."""

    def __init__(self, learned: "TextClassifier | None" = None, *, lexicon: Lexicon | None = None) -> None:
        self._learned = learned if learned is not None and learned.samples else None
        self._lexicon = lexicon or load_lexicon("lexicon.toml")

    def classify(self, title: str, body: str = "", labels: Sequence[str] = ()) -> Classification:
        """Say which agent an issue belongs to. Never fails on any text; the default agent takes what says nothing."""
        return self.classify_text(screen_issue(title, body), labels)

    def classify_text(self, screened: ScreenedText, labels: Sequence[str] = ()) -> Classification:
        """Classify a text that is already screened, so that callers with several decisions read it once."""
        matches = match_labels(labels)
        if matches:
            return self._with_operation(_by_label(matches, screened), screened)
        section = screened.text.sections.get("type", "")
        match = match_label(section) if 0 < len(section) <= MAX_TYPE_CHARS else None
        if match is not None and match.rule != "synonym":
            return self._with_operation(_by_section(match, screened), screened)
        return self._by_text(screened, () if match is None else (_section_evidence(match),))

    def _with_operation(self, found: Classification, screened: ScreenedText) -> Classification:
        """Let the text say which operation is meant where people named the agent alone."""
        if found.operation is not None:
            return found
        fields: dict[Where, str] = {"title": screened.text.title, "body": screened.text.prose, "quote": screened.quotes}
        scores = self._lexicon.score(fields, structure_of(screened.text), ())
        shares = {
            target: share
            for target, share in distribution_of(scores.by_target).items()
            if target.startswith(f"{found.agent}.")
        }
        if not shares:
            return found
        target = max(shares, key=lambda one: (shares[one], one))
        return replace(
            found,
            operation=target.split(".", 1)[1],
            operation_confidence=round(found.confidence * shares[target] / sum(shares.values()), 4),
            evidence=(*found.evidence, *scores.evidence_for(target)),
        )

    def _by_text(self, screened: ScreenedText, stated: tuple[Evidence, ...]) -> Classification:
        text = screened.text
        structure = structure_of(text)
        in_title = [name for name in structure if name == "question-title"]
        scores = self._lexicon.score({"title": text.title}, in_title, stated)
        source: Source = "title"
        shares = distribution_of(scores.by_target)
        if max(_by_agent(shares).values(), default=0.0) < TITLE_IS_ENOUGH or self._learned is not None:
            fields: dict[Where, str] = {"title": text.title, "body": text.prose, "quote": screened.quotes}
            scores = self._lexicon.score(fields, structure, stated)
            shares = distribution_of(scores.by_target)
            source = "body"
        if self._learned is None:
            return _decide(shares, scores, source, screened, ())
        prediction = self._learned.predict(text)
        blended = blend(shares, prediction.probabilities, self._learned.samples)
        return _decide(blended, scores, "learned", screened, prediction.evidence)


def distribution_of(scores: Mapping[str, float], *, scale: float = EVIDENCE_SCALE) -> dict[str, float]:
    """Turn lexicon scores into probabilities; what is missing to 1 belongs to the default.

    share = score^2 / sum of score^2; strength = 1 - exp(-best / scale);
    probability = share x strength. Agents are scored first (best operation plus half
    of the rest), then an agent's probability is divided among its operations by score.
    """
    by_agent: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for target, score in scores.items():
        by_agent[target.split(".", 1)[0]][target] = score
    totals = {
        agent: max(found.values()) + REST_OF_AGENT * (sum(found.values()) - max(found.values()))
        for agent, found in by_agent.items()
    }
    squares = sum(total * total for total in totals.values())
    if squares == 0.0:
        return {}
    strength = 1.0 - math.exp(-max(totals.values()) / scale)
    shares: dict[str, float] = {}
    for agent, found in by_agent.items():
        probability = strength * totals[agent] ** 2 / squares
        inner = sum(score * score for score in found.values())
        shares.update({target: probability * score * score / inner for target, score in found.items()})
    return shares


def blend(lexicon: Mapping[str, float], history: Mapping[str, float], samples: int) -> dict[str, float]:
    """Mix lexicon and history by the number of labelled issues: history weighs n / (n + SHRINKAGE).

    Targets that history never saw keep SHRINKAGE_UNSEEN / (n + SHRINKAGE_UNSEEN) of
    their lexicon probability, and history shares what they leave.
    """
    seen = samples / (samples + SHRINKAGE)
    unseen = SHRINKAGE_UNSEEN / (samples + SHRINKAGE_UNSEEN)
    new = {target: p * unseen for target, p in lexicon.items() if target not in history}
    left = 1.0 - sum(new.values())
    old = {target: left * (seen * p + (1.0 - seen) * lexicon.get(target, 0.0)) for target, p in history.items()}
    return {**new, **old}


def _by_label(matches: Sequence[LabelMatch], screened: ScreenedText) -> Classification:
    first = matches[0]
    rivals: dict[str, Alternative] = {}
    for match in matches[1:]:
        if match.agent != first.agent:
            rivals.setdefault(match.agent, Alternative(match.agent, match.operation, match.confidence))
    # Labels of the same rank that name several agents share the confidence; a weaker label takes none.
    same_rank = 1 + sum(1 for rival in rivals.values() if rival.confidence == first.confidence)
    confidence = first.confidence / same_rank
    evidence = tuple(Evidence(match.label, "label", match.confidence, _target(match)) for match in matches)
    return Classification(
        agent=first.agent,
        operation=first.operation,
        confidence=confidence,
        source="label",
        evidence=evidence,
        alternatives=tuple(rivals.values()),
        operation_confidence=confidence if first.operation else 0.0,
        suspicious=screened.suspicious,
        truncated=screened.text.truncated,
    )


def _by_section(match: LabelMatch, screened: ScreenedText) -> Classification:
    confidence = round(match.confidence * SECTION_CONFIDENCE, 4)
    return Classification(
        agent=match.agent,
        operation=match.operation,
        confidence=confidence,
        source="body",
        evidence=(Evidence(match.label, "section", confidence, _target(match)),),
        operation_confidence=confidence if match.operation else 0.0,
        suspicious=screened.suspicious,
        truncated=screened.text.truncated,
    )


def _section_evidence(match: LabelMatch) -> Evidence:
    return Evidence(match.label, "section", SECTION_WEIGHT, _target(match))


def _decide(
    shares: Mapping[str, float], scores: Scores, source: Source, screened: ScreenedText, learned: tuple[Evidence, ...]
) -> Classification:
    agents = sorted(_by_agent(shares).items(), key=lambda item: (-item[1], item[0]))
    if not agents or agents[0][1] < MIN_CONFIDENCE:
        return _default(agents, screened)
    ranked = [Alternative(agent, _best_operation(agent, shares), round(p, 4)) for agent, p in agents[:4]]
    winner = ranked[0]
    evidence = (*scores.evidence_for(f"{winner.agent}."), *(one for one in learned if _agent_of(one) == winner.agent))
    return Classification(
        agent=winner.agent,
        operation=winner.operation,
        confidence=winner.confidence,
        source=source if source == "learned" else _heaviest_source(evidence, source),
        evidence=evidence,
        alternatives=tuple(ranked[1:]),
        operation_confidence=round(shares.get(f"{winner.agent}.{winner.operation}", 0.0), 4),
        suspicious=screened.suspicious,
        truncated=screened.text.truncated,
    )


def _default(agents: Sequence[tuple[str, float]], screened: ScreenedText) -> Classification:
    # Nothing points anywhere: the chance to be right is that of any of the agents.
    return Classification(
        agent=DEFAULT_AGENT,
        operation=None,
        confidence=round(1.0 / len(AGENTS), 4),
        source="default",
        evidence=(),
        alternatives=tuple(Alternative(agent, None, round(p, 4)) for agent, p in agents[:3]),
        suspicious=screened.suspicious,
        truncated=screened.text.truncated,
    )


def _by_agent(shares: Mapping[str, float]) -> dict[str, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for target, share in shares.items():
        totals[target.split(".", 1)[0]] += share
    return dict(totals)


def _best_operation(agent: str, shares: Mapping[str, float]) -> str | None:
    own = {target: share for target, share in shares.items() if target.split(".", 1)[0] == agent}
    best = max(own, key=lambda target: (own[target], target))
    return best.split(".", 1)[1] if "." in best else None


def _heaviest_source(evidence: Sequence[Evidence], source: Source) -> Source:
    title = sum(one.weight for one in evidence if one.where == "title" or one.term == "question-title")
    return "title" if title > sum(one.weight for one in evidence) / 2 else source


def _agent_of(evidence: Evidence) -> str:
    return evidence.target.split(".", 1)[0]


def _target(match: LabelMatch) -> str:
    return match.agent if match.operation is None else f"{match.agent}.{match.operation}"


def label_target(labels: Sequence[str]) -> str | None:
    """Return the target that people's labels imply (``agent`` or ``agent.operation``), or None without one."""
    matches = match_labels(labels)
    return _target(matches[0]) if matches else None
