"""GitHub issues written into files, and what is read of them."""

import io
import json
from typing import Any

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import RejectedRecord

Result = IssueRecord | RejectedRecord


def issue(number: object = 1, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "title": f"Printer {number} is on fire",
        "body": 'It says "lp0 on fire" \\ and {burns} [brightly].\r\n',
        "repository_url": "https://api.github.com/repos/acme/office",
        "html_url": f"https://github.com/acme/office/issues/{number}",
        "state": "open",
        "created_at": "2026-01-05T10:00:00Z",
        "user": {"login": "maria"},
        "labels": [{"name": "bug"}],
    } | changes


def read(data: bytes | str, **options: Any) -> list[Result]:
    return list(read_github_issues(io.BytesIO(data.encode() if isinstance(data, str) else data), **options))


def lines(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def only(results: list[Result]) -> IssueRecord:
    assert len(results) == 1
    assert isinstance(results[0], IssueRecord), results[0]
    return results[0]


def refused(results: list[Result]) -> list[RejectedRecord]:
    return [result for result in results if isinstance(result, RejectedRecord)]


def numbers(results: list[Result]) -> list[int]:
    return [result.number for result in results if isinstance(result, IssueRecord)]
