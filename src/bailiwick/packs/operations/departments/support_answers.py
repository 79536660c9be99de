"""Inquiries and the knowledge base: answers from what solved earlier issues, and what nobody wrote down yet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.text import TfidfVectorizer

from bailiwick.connectors.issues import IssueRecord
from bailiwick.packs.operations.departments.body import Line, issue_lines, query_text
from bailiwick.packs.operations.departments.desk import Article, Desk, IssueFilter, IssueRow, SimilarIssue
from bailiwick.packs.operations.departments.work import Evidence, WorkResult, bullets, cannot_determine, quoted

MIN_SCORE = 0.25
"""Similarity from which an article or a solved issue is offered as an answer."""
RECURRING = 3
"""Questions of one cluster from which an article is missed."""
HISTORY_DAYS = 180
MAX_CLUSTERED = 1_000
_CLUSTER_DISTANCE = 0.7
_CUSTOMER_OPERATIONS = ("customer-inquiry", "knowledge-base")

_SENTENCE = re.compile(r"[^.!?\n]{3,400}\?")
_ASKING = re.compile(
    r"^\s{0,8}(?:how|what|why|where|when|who|which|can|could|does|do|is|are|should|would|any(?:body|one)|please\s{1,3}(?:tell|explain|advise|clarify))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that recur without an article that answers them; ``score`` is the best article's similarity."""

    issues: tuple[IssueRow, ...]
    words: tuple[str, ...]
    score: float


async def answer_inquiry(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Extract the question and answer it from solved issues and articles like it, each cited."""
    operation = "customer-inquiry"
    question = find_question(issue)
    solved = await _solved(issue, desk)
    articles = [one for one in await desk.articles(query_text(issue), limit=3) if one.score >= MIN_SCORE]
    data = {
        "question": question.text.strip() if question else None,
        "solved": [_solved_row(one) for one in solved],
        "articles": [_article_row(one) for one in articles],
    }
    evidence = [Evidence(question.source, question.text.strip()[:300])] if question else []
    evidence += [Evidence(f"issue {one.issue.key}", (one.resolution or "")[:300]) for one in solved]
    evidence += [Evidence(f"article {one.article_id}", one.passage[:300]) for one in articles]
    missing = [] if question else ["a question: end it with a question mark or begin it with how, what, why, can"]
    if not solved and not articles:
        missing.append(
            f"an article or a solved issue like this (similarity at least {MIN_SCORE}): a person must answer, and the"
            " answer will serve the next one"
        )
        return cannot_determine(operation, missing, data=data, evidence=evidence)
    said = [f"{quoted(one.title)}{f' ({one.url})' if one.url else ''}: {quoted(one.passage, 400)}" for one in articles]
    said += [
        f"#{one.issue.number} {quoted(one.issue.title)} was solved by: {quoted(one.resolution or '', 400)}"
        for one in solved
    ]
    return WorkResult(
        operation=operation,
        status="done",
        summary=(
            f"{len(solved)} solved issue(s) and {len(articles)} article(s) like it, best similarity"
            f" {max([one.score for one in solved] + [one.score for one in articles]):.2f}"
        ),
        data=data,
        evidence=tuple(evidence),
        missing=tuple(missing),
        proposed_comment=(f"On {quoted(question.text)}:\n\n" if question else "") + bullets(said),
        proposed_labels=("answer-proposed",),
    )


async def serve_knowledge(issue: IssueRecord, desk: Desk) -> WorkResult:
    """Retrieve what is written on the subject, cited, and name recurring questions that no article answers."""
    operation = "knowledge-base"
    articles = [one for one in await desk.articles(query_text(issue), limit=5) if one.score >= MIN_SCORE]
    solved = await _solved(issue, desk)
    asked = await _asked(desk)
    gaps = await find_gaps(asked, desk)
    data = {
        "articles": [_article_row(one) for one in articles],
        "solved": [_solved_row(one) for one in solved],
        "questions_examined": len(asked),
        "gaps": [_gap_row(gap) for gap in gaps],
    }
    missing: list[str] = []
    if not articles and not solved:
        subject = f"an article or a solved issue on this subject (similarity at least {MIN_SCORE})"
        missing.append(f"{subject}: add one to the knowledge base")
    if not asked:
        missing.append(f"customer questions of the last {HISTORY_DAYS} days to look for gaps in: import them as issues")
    evidence = [Evidence(f"article {one.article_id}", one.passage[:300]) for one in articles]
    evidence += [Evidence(f"issue {one.issue.key}", (one.resolution or "")[:300]) for one in solved]
    evidence += [Evidence(f"issue {row.key}", row.title) for gap in gaps for row in gap.issues[:3]]
    if not articles and not solved and not gaps:
        return cannot_determine(operation, missing, data=data, evidence=evidence)
    said = [f"{quoted(one.title)}: {quoted(one.passage, 400)}" for one in articles]
    said += [f"#{one.issue.number}: {quoted(one.resolution or '', 400)}" for one in solved]
    said += [_say_gap(gap) for gap in gaps]
    return WorkResult(
        operation=operation,
        status="done",
        summary=(
            f"{len(articles)} article(s) and {len(solved)} solved issue(s) on it; {len(gaps)} recurring question(s)"
            f" without an article among {len(asked)} asked"
        ),
        data=data,
        evidence=tuple(evidence),
        missing=tuple(missing),
        proposed_comment=bullets(said),
        proposed_labels=("knowledge-gap",) if gaps else (),
    )


def _gap_row(gap: Gap) -> dict[str, object]:
    return {
        "words": list(gap.words),
        "issues": [row.key for row in gap.issues[:10]],
        "count": len(gap.issues),
        "best_article_score": round(gap.score, 3),
    }


def _say_gap(gap: Gap) -> str:
    asked = ", ".join(f"#{row.number}" for row in gap.issues[:5])
    return f"No article answers {len(gap.issues)} questions on {quoted(', '.join(gap.words))}: {asked}"


def find_question(issue: IssueRecord) -> Line | None:
    """Return the first sentence that asks: by its question mark, else by its first word. Quotes do not count."""
    lines = [
        line
        for line in issue_lines(issue)
        if not line.source.startswith("comment") and not line.text.lstrip().startswith(">")
    ]
    # The body says more than the title, which often repeats it shortened.
    for line in [*lines[1:], lines[0]]:
        match = _SENTENCE.search(line.text[:2_000])
        if match is not None:
            return Line(line.source, match.group().strip())
    return next((line for line in [*lines[1:], lines[0]] if _ASKING.match(line.text)), None)


async def find_gaps(asked: Sequence[IssueRow], desk: Desk) -> list[Gap]:
    """Cluster questions by title; return clusters of ``RECURRING`` or more that no article answers, largest first.

    Average-linkage clustering on cosine distance of TF-IDF vectors, cut at 0.7.
    """
    if len(asked) < RECURRING:
        return []
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"[^\W\d_]{2,40}")  # noqa: S106
    try:
        matrix = vectorizer.fit_transform([row.title for row in asked]).toarray()
    except ValueError:
        return []
    named = np.flatnonzero(matrix.any(axis=1))
    if len(named) < RECURRING:
        return []
    groups = AgglomerativeClustering(
        n_clusters=None,  # pyright: ignore[reportArgumentType] - None is documented: the distance decides
        metric="cosine",
        linkage="average",
        distance_threshold=_CLUSTER_DISTANCE,
    )
    labels = groups.fit_predict(matrix[named])
    vocabulary = vectorizer.get_feature_names_out()
    gaps: list[Gap] = []
    for label in range(int(labels.max()) + 1):
        members = named[labels == label]
        if len(members) < RECURRING:
            continue
        weights = matrix[members].mean(axis=0)
        words = tuple(str(vocabulary[index]) for index in np.argsort(-weights)[:4] if weights[index] > 0)
        best = await desk.articles(" ".join(words), limit=1)
        score = best[0].score if best else 0.0
        if score < MIN_SCORE:
            gaps.append(Gap(tuple(asked[index] for index in members.tolist()), words, score))
    return sorted(gaps, key=lambda gap: -len(gap.issues))


async def _solved(issue: IssueRecord, desk: Desk) -> list[SimilarIssue]:
    similar = await desk.similar(query_text(issue), limit=20, exclude_key=issue.key)
    return [one for one in similar if one.issue.state == "closed" and one.resolution and one.score >= MIN_SCORE][:3]


async def _asked(desk: Desk) -> list[IssueRow]:
    since = desk.now() - timedelta(days=HISTORY_DAYS)
    rows = [
        row
        for name in _CUSTOMER_OPERATIONS
        for row in await desk.issues(IssueFilter(operation=name, created_since=since, limit=MAX_CLUSTERED))
    ]
    return rows[:MAX_CLUSTERED]


def _solved_row(one: SimilarIssue) -> dict[str, str | float]:
    return {
        "key": one.issue.key,
        "title": one.issue.title,
        "score": round(one.score, 3),
        "resolution": (one.resolution or "")[:500],
    }


def _article_row(one: Article) -> dict[str, str | float | None]:
    return {
        "article_id": one.article_id,
        "title": one.title,
        "score": round(one.score, 3),
        "passage": one.passage[:500],
        "url": one.url,
    }
