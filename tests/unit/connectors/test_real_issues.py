"""Both real issue sets are read whole."""

from collections import Counter
from pathlib import Path

from bailiwick.connectors.csv import read_csv_issues
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.kernel.documents import encode


def accepted(results: list[IssueRecord | RejectedRecord]) -> list[IssueRecord]:
    assert [result for result in results if isinstance(result, RejectedRecord)] == []
    records = [result for result in results if isinstance(result, IssueRecord)]
    assert len({record.key for record in records}) == len(records)
    for record in records:
        encode(record)
    return records


def test_the_npm_issues_of_github(real_data: Path) -> None:
    path = real_data / "issues_github_npm" / "issues_closed_early_two_thirds.jsonl.gz"
    records = accepted(list(read_github_issues(path)))
    assert len(records) == 285
    assert {record.state for record in records} == {"closed"}
    assert sum(len(record.comments) for record in records) == 1644
    assert all(record.author and record.resolution_seconds is not None for record in records)
    assert {record.attributes["final_classification"] for record in records} == {"Intrinsic", "Extrinsic", "Not a Bug"}
    assert records[0].key == "expressjs/express#210"


def test_the_hadoop_bugs_of_jira_with_a_guessed_map(real_data: Path) -> None:
    path = real_data / "issues_hadoop_text" / "hadoop_bugs_early_two_thirds.csv.gz"
    records = accepted(list(read_csv_issues(path, repository="HADOOP")))
    assert Counter(record.state for record in records) == {"closed": 1218, "open": 450}
    assert records[0].key == "HADOOP#13277068"
    assert records[0].created_at.isoformat() == "2020-01-01T02:52:00+00:00"
    assert records[0].attributes == {"Status": "Resolved", "Priority": "Major", "Resolution": "Fixed"}
    assert sum(record.attributes.get("Resolution") == "Duplicate" for record in records) == 121
    assert max(len(record.body) for record in records) > 70_000
