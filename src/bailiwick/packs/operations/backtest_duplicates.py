"""Scores the search for duplicates against a history: by known pairs, and by issues closed as duplicates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.duplicates import DuplicateIndex
from bailiwick.packs.operations.issue_text import IssueText
from bailiwick.packs.operations.scores import THRESHOLDS

RECALL_AT = (1, 3, 5, 10)
_SAYS_SO = re.compile(
    r"\bdup(?:licate|e)?\s{1,3}(?:of|with)\s{1,3}([\w.-]{0,80}/?[\w.-]{0,80})#(\d{1,9})\b", re.IGNORECASE
)
_MAX_COMMENT_CHARS = 5_000
_ATTRIBUTES = ("duplicate_of", "Duplicate of", "dup_id")


@dataclass(frozen=True)
class RecallAt:
    """Of the issues with a known original in the history, the share that has it among the best ``k`` candidates."""

    k: int
    recall: float


@dataclass(frozen=True)
class MarkedShare:
    """Of the issues whose best candidate scores at or above ``threshold``: how many were closed as a duplicate.

    A lower bound of the precision: people do not mark every duplicate, and mark
    the older of two as well.
    """

    threshold: float
    flagged: int
    marked: int
    share: float | None


@dataclass(frozen=True)
class DuplicateReport:
    """How the search for duplicates did on the test part; each half says what is missing when it is None."""

    tested_on: int
    known_pairs: int
    recall: tuple[RecallAt, ...] | None
    recall_missing: str | None
    marked_base_rate: float | None
    marked: tuple[MarkedShare, ...] | None
    marked_missing: str | None


def known_original(record: IssueRecord) -> str | None:
    """Return the key of the issue that people said this one repeats, from an attribute or a comment, or None."""
    for name in _ATTRIBUTES:
        number = record.attributes.get(name, "").lstrip("#")
        if number.isascii() and number.isdigit():
            return f"{record.repository}#{int(number)}"
    for comment in record.comments:
        found = _SAYS_SO.search(comment.body[:_MAX_COMMENT_CHARS])
        if found is not None:
            repository = found.group(1) if "/" in found.group(1) else record.repository
            return f"{repository}#{int(found.group(2))}"
    return None


def backtest_duplicates(records: Sequence[tuple[IssueRecord, IssueText]], cut_at: datetime) -> DuplicateReport:
    """Search each test record among all records before it; ``records`` are ordered by creation."""
    index = DuplicateIndex()
    best: list[tuple[IssueRecord, float]] = []
    ranks: list[int | None] = []
    for record, text in records:
        if record.created_at >= cut_at:
            found = index.predict_one(text, limit=max(RECALL_AT), threshold=0.0)
            best.append((record, found[0].score if found else 0.0))
            original = known_original(record)
            if original is not None and original in index:
                keys = [candidate.key for candidate in found]
                ranks.append(keys.index(original) if original in keys else None)
        index.learn_one(record.key, text)
    recall = _recall(ranks)
    marked, base_rate = _marked(best)
    return DuplicateReport(
        tested_on=len(best),
        known_pairs=len(ranks),
        recall=recall,
        recall_missing=None if recall else "the numbers of the originals that duplicates repeat",
        marked_base_rate=base_rate,
        marked=marked,
        marked_missing=None if marked else "labelled history (no issue was closed as a duplicate)",
    )


def _recall(ranks: Sequence[int | None]) -> tuple[RecallAt, ...] | None:
    if not ranks:
        return None
    return tuple(
        RecallAt(k, round(sum(1 for rank in ranks if rank is not None and rank < k) / len(ranks), 4)) for k in RECALL_AT
    )


def _marked(best: Sequence[tuple[IssueRecord, float]]) -> tuple[tuple[MarkedShare, ...] | None, float | None]:
    closed = [(score, _is_marked(record)) for record, score in best if record.state == "closed"]
    total = sum(is_marked for _, is_marked in closed)
    if not total:
        return None, None
    shares: list[MarkedShare] = []
    for threshold in THRESHOLDS:
        flagged = [is_marked for score, is_marked in closed if score >= threshold]
        share = round(sum(flagged) / len(flagged), 4) if flagged else None
        shares.append(MarkedShare(threshold, len(flagged), sum(flagged), share))
    return tuple(shares), round(total / len(closed), 4)


def _is_marked(record: IssueRecord) -> bool:
    stated = (record.attributes.get("Resolution", ""), record.state_reason or "", *record.labels)
    return any("duplicate" in text.lower() for text in stated)
