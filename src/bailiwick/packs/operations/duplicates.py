"""Finds likely duplicates of an issue among those seen before: an inverted index that learns one issue at a time."""

import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.issue_text import IssueText, words

SATURATION = 1.2
LENGTH_WEIGHT = 0.5
"""BM25's k1 and b. b is lower than the usual 0.75: long reports are often complete, not verbose."""

TITLE_REPEATS = 3
MAX_QUERY_TERMS = 32
MAX_BODY_WORDS = 400
MAX_CODE_WORDS = 100
"""A title word counts three times. Of a query the 32 heaviest terms are looked up."""

MIN_BODY_WORDS = 15
CANDIDATES = 50
CONFLICT_FACTOR = 0.5
"""The best 50 by words are compared by title as well. Titles that name different numbers
("to 1.10.9" and "to 1.10.11") are seldom the same issue, so their score is halved."""

DEFAULT_THRESHOLD = 0.7
"""Likely the same. Chosen on the first 1,168 reports of a real project (Hadoop), where 17 best pairs reached it and
13 of them, read by hand, reported the same thing; in the 500 reports after those, 3 of 6 did. The rest were tasks of
one series. It is a reason to look, not to close."""

POSSIBLE_THRESHOLD = 0.45
"""Worth showing to a person: about half of the pairs from here up were the same thing."""

_NUMBER = re.compile(r"\d{1,9}(?:[._-]\d{1,9}){0,6}")

_STOP_WORDS = frozenset(
    words(
        "a an and are as at be but by can could do does for from had has have how i if in into is it its me my no not "
        "of on or our should so some such than that the their them then there these they this to up us was we were "
        "what when where which who will with would you your"
    )
)


@dataclass(frozen=True)
class DuplicateCandidate:
    """A known issue that may be the same. ``score``: 0 nothing in common, 1 as alike as the issue is to itself."""

    key: str
    score: float
    shared_terms: tuple[str, ...]


@dataclass(frozen=True)
class _Title:
    stems: frozenset[str]
    numbers: frozenset[str]
    body_words: int


@dataclass
class _Postings:
    issues: "array[int]"
    weights: "array[float]"


class DuplicateIndex:
    """BM25 over titles (three times), bodies and code words, as a share of the query's score with itself.

    That share is multiplied by how alike the titles are (``_alike``).
    ``learn_one`` takes time linear in the text; ``predict_one`` a few
    milliseconds at 100,000 issues. Length normalization uses the mean length at
    the time an issue was learned, so order of learning moves scores slightly.
    """

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._known: dict[str, int] = {}
        self._titles: list[_Title] = []
        self._postings: dict[str, _Postings] = {}
        self._length_total = 0.0

    def __len__(self) -> int:
        """Return the number of issues learned."""
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        """Say whether an issue has been learned."""
        return key in self._known

    def learn_one(self, key: str, text: IssueText) -> None:
        """Add an issue; a key that is already known is left as it was."""
        if key in self._known:
            return
        counts = _terms(text)
        number = len(self._keys)
        self._known[key] = number
        self._keys.append(key)
        self._titles.append(_title(text))
        self._length_total += sum(counts.values())
        for term, weight in self._saturated(counts).items():
            postings = self._postings.get(term)
            if postings is None:
                postings = self._postings[term] = _Postings(array("i"), array("f"))
            postings.issues.append(number)
            postings.weights.append(weight)

    def predict_one(
        self,
        text: IssueText,
        *,
        limit: int = 5,
        threshold: float = DEFAULT_THRESHOLD,
        exclude: Sequence[str] = (),
    ) -> tuple[DuplicateCandidate, ...]:
        """Return at most ``limit`` known issues scoring ``threshold`` or more, best first; ``exclude`` by key.

        Raises:
            InvalidInputError: ``limit`` is below 1.
        """
        if limit < 1:
            raise InvalidInputError("limit must be at least 1")
        weighted = self._query(text)
        own = sum(weight * self_weight for weight, self_weight in weighted.values())
        if own <= 0.0 or not self._keys:
            return ()
        scores = self._scores(weighted) / own
        for key in exclude:
            if key in self._known:
                scores[self._known[key]] = 0.0
        # The title can only lower a score, so what is below the threshold by words stays below.
        found = np.flatnonzero(scores >= max(threshold, 1e-6))
        if len(found) > CANDIDATES:
            found = found[np.argpartition(-scores[found], CANDIDATES - 1)[:CANDIDATES]]
        title = _title(text)
        judged = [(min(1.0, float(scores[number])) * self._alike(title, number), number) for number in found.tolist()]
        ranked = sorted((one for one in judged if one[0] >= threshold), key=lambda one: (-one[0], one[1]))[:limit]
        return tuple(
            DuplicateCandidate(self._keys[number], round(score, 4), self._shared(number, weighted))
            for score, number in ranked
        )

    def _alike(self, title: _Title, number: int) -> float:
        """Return the factor, up to 1, that the two titles lend.

        With two bodies to compare, half of it depends on the titles' shared weight.
        Otherwise all of it does, squared: series of tasks ("in module A", "in module
        B") have empty bodies and differ in one word.
        """
        other = self._titles[number]
        union = sum(self._idf(stem) for stem in title.stems | other.stems)
        shared = sum(self._idf(stem) for stem in title.stems & other.stems)
        conflict = bool(title.numbers and other.numbers and title.numbers != other.numbers)
        alike = shared / union if union else 0.0
        has_bodies = min(title.body_words, other.body_words) >= MIN_BODY_WORDS
        return (0.5 + 0.5 * alike if has_bodies else alike * alike) * (CONFLICT_FACTOR if conflict else 1.0)

    def _scores(self, weighted: dict[str, tuple[float, float]]) -> NDArray[np.float64]:
        scores = np.zeros(len(self._keys), dtype=np.float64)
        for term, (weight, _) in weighted.items():
            postings = self._postings.get(term)
            if postings is not None:
                # An issue stands at most once in a posting list, so plain indexed addition is right.
                scores[np.frombuffer(postings.issues, dtype=np.int32)] += weight * np.frombuffer(
                    postings.weights, dtype=np.float32
                )
        return scores

    def _query(self, text: IssueText) -> dict[str, tuple[float, float]]:
        counts = _terms(text)
        saturated = self._saturated(counts)
        weights = {term: (self._idf(term) * counts[term], saturated[term]) for term in counts}
        heaviest = sorted(weights, key=lambda term: (-weights[term][0], term))[:MAX_QUERY_TERMS]
        return {term: (min(weights[term][0], self._idf(term) * TITLE_REPEATS), weights[term][1]) for term in heaviest}

    def _idf(self, term: str) -> float:
        postings = self._postings.get(term)
        frequency = 0 if postings is None else len(postings.issues)
        return math.log(1.0 + (len(self._keys) - frequency + 0.5) / (frequency + 0.5))

    def _saturated(self, counts: Counter[str]) -> dict[str, float]:
        length = sum(counts.values())
        mean = self._length_total / len(self._keys) if self._keys else length
        norm = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / max(1.0, mean))
        return {term: count * (SATURATION + 1.0) / (count + norm) for term, count in counts.items()}

    def _shared(self, number: int, weighted: dict[str, tuple[float, float]], limit: int = 8) -> tuple[str, ...]:
        shared: list[tuple[float, str]] = []
        for term, (weight, _) in weighted.items():
            postings = self._postings.get(term)
            if postings is None:
                continue
            issues = np.frombuffer(postings.issues, dtype=np.int32)
            # Issues are learned in rising order, so the list is sorted.
            position = int(np.searchsorted(issues, number))
            if position < len(issues) and issues[position] == number:
                shared.append((weight * postings.weights[position], term))
        shared.sort(key=lambda item: (-item[0], item[1]))
        return tuple(term for _, term in shared[:limit])


def _title(text: IssueText) -> _Title:
    body_words = sum(len(line.split()) for line in text.body_lines)
    return _Title(frozenset(words(text.title)) - _STOP_WORDS, frozenset(_NUMBER.findall(text.title)), body_words)


def _terms(text: IssueText) -> Counter[str]:
    counts: Counter[str] = Counter()
    for word in words(text.title):
        counts[word] += TITLE_REPEATS
    counts.update(words(text.prose)[:MAX_BODY_WORDS])
    code = (word for line in text.code_lines for word in words(line))
    counts.update(word for word, _ in zip(code, range(MAX_CODE_WORDS), strict=False))
    for word in _STOP_WORDS:
        counts.pop(word, None)
    return counts
