"""What an operation of a department hands back: a result with its evidence, or what is missing."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from bailiwick.connectors.issues import IssueRecord
from bailiwick.kernel.documents import JsonObject
from bailiwick.packs.operations.departments.desk import Desk

MAX_LISTED = 20
"""Findings listed per kind in a result; counts are always complete."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a statement comes from: ``source`` ("issue body, line 12") and what stands there."""

    source: str
    detail: str


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The answer of one operation.

    ``done``: the operation's question is answered by ``data``; ``missing`` may still name parts that
    could not be computed. ``cannot_determine``: it is not answered; ``missing`` says what is needed and
    how to supply it, and ``data`` holds whatever could be computed all the same.
    """

    operation: str
    status: Literal["done", "cannot_determine"]
    summary: str
    data: JsonObject
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    proposed_comment: str | None = None
    proposed_labels: tuple[str, ...] = ()


Operation = Callable[[IssueRecord, Desk], Awaitable[WorkResult]]


def cannot_determine(
    operation: str, missing: Iterable[str], *, data: JsonObject | None = None, evidence: Iterable[Evidence] = ()
) -> WorkResult:
    """Return the result that names what an operation lacks, with a comment that asks for it."""
    needs = tuple(missing)
    listed = "\n".join(f"- {need}" for need in needs)
    return WorkResult(
        operation=operation,
        status="cannot_determine",
        summary="cannot determine: " + "; ".join(needs),
        data=data or {},
        evidence=tuple(evidence),
        missing=needs,
        proposed_comment=f"To go on, `{operation}` needs:\n\n{listed}",
        proposed_labels=("needs-info",),
    )


def quoted(text: str, limit: int = 120) -> str:
    """Return outside text as an inert Markdown code span of at most ``limit`` characters.

    Inside a code span mentions notify nobody and markup does nothing; backticks and control characters go.
    """
    flat = " ".join("".join(char if char.isprintable() else " " for char in text.replace("`", "'")).split())
    cut = flat if len(flat) <= limit else flat[: limit - 1] + "…"
    return f"`{cut}`" if cut else "(empty)"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
