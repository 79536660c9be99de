"""What one organization's issues look like: its indexes, and how far the log was read into them.

Needs NumPy, so ``likeness`` loads it when the first organization is asked for.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bailiwick.packs.operations.duplicates import DEFAULT_THRESHOLD, POSSIBLE_THRESHOLD, DuplicateIndex
from bailiwick.packs.operations.issue_text import read_issue_text
from bailiwick.packs.operations.likeness import TWIN_THRESHOLD, SameIssue
from bailiwick.packs.operations.texts import TextCorpus


@dataclass(slots=True)
class Likeness:
    """One organization's indexes and how far the log was read into them."""

    duplicates: DuplicateIndex = field(default_factory=DuplicateIndex)
    corpus: TextCorpus = field(default_factory=TextCorpus)
    read_until: str | None = None
    read_at: float = 0.0
    looked_back_at: float = field(default_factory=time.monotonic)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def learn(self, issues: Sequence[tuple[str, str, str]]) -> None:
        """Add issues as (key, title, body)."""
        for key, title, body in issues:
            text = read_issue_text(title, body)
            self.duplicates.learn_one(key, text)
            self.corpus.learn_one(key, f"{title}\n{text.prose}")

    def same(self, key: str, title: str, body: str) -> list[SameIssue]:
        """Return the issues that may report the same as one: by words, and its twin in the corpus."""
        found = self.duplicates.predict_one(
            read_issue_text(title, body), limit=5, threshold=POSSIBLE_THRESHOLD, exclude=(key,)
        )
        same = [SameIssue(one.key, one.score, one.score >= DEFAULT_THRESHOLD, one.shared_terms) for one in found]
        twin = self.corpus.twin_of(key, threshold=TWIN_THRESHOLD)
        if twin is not None and all(one.key != twin.key for one in same):
            same.append(SameIssue(twin.key, round(twin.score, 4), False, twin.shared_terms))
        return same
