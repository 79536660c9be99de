"""Results of operations, held against the quality gates and kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from bailiwick.kernel.documents import MAX_RESULT_BYTES, encode
from bailiwick.packs.operations.assignments import WorkReport
from bailiwick.packs.operations.gates import is_passed, judge
from bailiwick.packs.operations.repository import IssueStore
from bailiwick.storage.rows import RowFields, raw


class Result(Protocol):
    """The parts of a work result that are kept."""

    @property
    def operation(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> Literal["done", "cannot_determine"]: ...  # noqa: D102
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def evidence(self) -> Sequence[object]: ...  # noqa: D102
    @property
    def missing(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def proposed_comment(self) -> str | None: ...  # noqa: D102
    @property
    def proposed_labels(self) -> Sequence[str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Worker:
    """Who made a result, in which task, and how long it took."""

    task_id: str
    agent_id: str
    agent_kind: str
    seconds: float


async def keep_result(
    store: IssueStore, organization_id: str, issue_key: str, result: Result, worker: Worker
) -> WorkReport:
    """Hold a result against the quality gates and store it; one per task.

    Raises:
        NotFoundError: the issue is gone.
    """
    judged = judge(result.operation, result.data)
    fields: RowFields = {
        "task": worker.task_id, "agent": worker.agent_id, "kind": worker.agent_kind, "seconds": worker.seconds,
        "operation": result.operation, "status": result.status, "summary": result.summary,
        "data": raw(encode(result.data, what="the result's data", limit=MAX_RESULT_BYTES)),
        "evidence": raw(encode(list(result.evidence), what="the result's evidence", limit=MAX_RESULT_BYTES)),
        "missing": list(result.missing), "gates": [asdict(gate) for gate in judged], "passed": is_passed(judged),
    }  # fmt: skip
    result_id = await store.keep_result(organization_id, issue_key, fields)
    return WorkReport(
        result_id=result_id, operation=result.operation, status=result.status, summary=result.summary,
        missing=tuple(result.missing), gates=[asdict(gate) for gate in judged], is_passed=is_passed(judged),
        comment=result.proposed_comment or None, labels=tuple(dict.fromkeys(result.proposed_labels)),
    )  # fmt: skip
