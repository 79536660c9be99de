"""Which texts are like a text: the cosine of TF-IDF vectors over a corpus that grows.

The weights are counted anew when the corpus has grown by a tenth; what was
learned since is compared with the weights of then. So a query costs one sparse
product, not a fit.
"""

import math
import re
import threading
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_TEXTS = 20_000
"""The newest texts are compared; older ones are forgotten when the weights are counted anew."""

_GROWTH = 1.1
_MAX_CHARS = 8_000
_MAX_SHARED = 8
_WORD = re.compile(r"[^\W_]{2,40}")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "about above after again all also an and any are as at be been before being below between both but by can "
        "could did do does doing down during each few for from further had has have having he her here hers him "
        "his how if in into is it its just me more most my no nor not now of off on once only or other our out "
        "over own same she should so some such than that the their them then there these they this those through "
        "to too under until up us very was we were what when where which while who whom why will with would you "
        "your"
    )
)


@dataclass(frozen=True, slots=True)
class LikeText:
    """A text of the corpus and how like it is: 0 nothing in common, 1 the same words."""

    key: str
    score: float


@dataclass(frozen=True, slots=True)
class Twin:
    """The text that is nearest to another and the other way round, with the words both hold, rarest first."""

    key: str
    score: float
    shared_terms: tuple[str, ...]


@dataclass(slots=True)
class _Postings:
    texts: "array[int]"
    weights: "array[float]"


class TextCorpus:
    """Texts by key; safe to share between threads."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._counts: list[dict[str, int]] = []
        self._known: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._idf: dict[str, float] = {}
        self._postings: dict[str, _Postings] = {}
        self._indexed = 0
        self._weighed = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self._keys)

    def learn_one(self, key: str, text: str) -> None:
        """Add a text; a key that is known is left as it was."""
        with self._lock:
            if key in self._known:
                return
            self._known.add(key)
            self._numbers[key] = len(self._keys)
            self._keys.append(key)
            self._counts.append(dict(Counter(_words(text))))

    def predict_one(self, text: str, *, limit: int, exclude: str | None = None) -> list[LikeText]:
        """Return the texts most like a text, best first; those without a common word are left out."""
        with self._lock:
            self._bring_up_to_date()
            return self._best(self._scores(self._vector(Counter(_words(text)))), limit, exclude)

    def twin_of(self, key: str, *, threshold: float) -> Twin | None:
        """Return the text that is most like one, if that one is also most like it and the score reaches a threshold.

        Being each other's nearest tells two reports of one thing from two texts of one kind, which
        have many neighbours. Returns None for a key that is not known.
        """
        with self._lock:
            self._bring_up_to_date()
            number = self._numbers.get(key)
            if number is None:
                return None
            found = self._nearest(number)
            if found is None or found[1] < threshold:
                return None
            other, score = found
            back = self._nearest(other)
            if back is None or self._keys[back[0]] != key:
                return None
            return Twin(self._keys[other], score, self._shared(number, other))

    def _nearest(self, number: int) -> tuple[int, float] | None:
        scores = self._scores(self._vector(self._counts[number]))
        scores[number] = 0.0
        best = int(np.argmax(scores))
        return (best, min(1.0, float(scores[best]))) if scores[best] > 0 else None

    def _shared(self, number: int, other: int) -> tuple[str, ...]:
        first, second = self._vector(self._counts[number]), self._vector(self._counts[other])
        common = sorted(first.keys() & second.keys(), key=lambda term: (-first[term] * second[term], term))
        return tuple(common[:_MAX_SHARED])

    def _scores(self, vector: Mapping[str, float]) -> NDArray[np.float64]:
        scores = np.zeros(len(self._keys))
        for term, weight in vector.items():
            postings = self._postings.get(term)
            if postings is not None:
                held = np.frombuffer(postings.texts, dtype=np.int32)
                scores[held] += weight * np.frombuffer(postings.weights, dtype=np.float32)
        return scores

    def _best(self, scores: NDArray[np.float64], limit: int, exclude: str | None) -> list[LikeText]:
        found: list[LikeText] = []
        for number in np.argsort(-scores, kind="stable")[: limit + 1].tolist():
            if scores[number] <= 0 or len(found) == limit:
                break
            if self._keys[number] != exclude:
                found.append(LikeText(self._keys[number], min(1.0, float(scores[number]))))
        return found

    def _bring_up_to_date(self) -> None:
        if len(self._keys) > self._weighed * _GROWTH:
            self._weigh_anew()
        for number in range(self._indexed, len(self._keys)):
            for term, weight in self._vector(self._counts[number]).items():
                postings = self._postings.setdefault(term, _Postings(array("i"), array("f")))
                postings.texts.append(number)
                postings.weights.append(weight)
        self._indexed = len(self._keys)

    def _weigh_anew(self) -> None:
        # Known keys stay known, so a forgotten text is not learned again as if it were new.
        self._keys, self._counts = self._keys[-MAX_TEXTS:], self._counts[-MAX_TEXTS:]
        self._numbers = {key: number for number, key in enumerate(self._keys)}
        frequency: Counter[str] = Counter()
        for counts in self._counts:
            frequency.update(counts.keys())
        n = len(self._keys)
        # Smoothed as if one more text held every word once, as is usual.
        self._idf = {term: math.log((1 + n) / (1 + seen)) + 1 for term, seen in frequency.items()}
        self._postings = {}
        self._indexed = 0
        self._weighed = n

    def _vector(self, counts: "Counter[str] | dict[str, int]") -> dict[str, float]:
        rarest = math.log(1 + self._weighed) + 1
        values = {term: (1 + math.log(times)) * self._idf.get(term, rarest) for term, times in counts.items()}
        norm = math.sqrt(sum(value * value for value in values.values()))
        return {term: value / norm for term, value in values.items()} if norm else {}


def _words(text: str) -> Sequence[str]:
    return [word for word in _WORD.findall(text[:_MAX_CHARS].lower()) if word not in _STOP_WORDS]
