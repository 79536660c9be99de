"""Fields of GitHub issues in files: what is read, what is made of it."""

from typing import Any

import pytest

from tests.support.github_files import issue, lines, only, read, refused


class TestFields:
    def test_the_fields_of_a_rest_issue(self) -> None:
        record = only(
            read(
                lines(
                    issue(
                        7,
                        id=99,
                        labels=[{"name": "bug"}, "P1", {"name": "bug"}, None],
                        assignees=[{"login": "li"}],
                        comments=4,
                        updated_at="2026-01-06T10:00:00+02:00",
                        author_association="MEMBER",
                        milestone={"title": "v2", "number": 3, "state": "open"},
                        labels_url="https://api.github.com/x",
                        active_lock_reason=None,
                        locked=True,
                    )
                )
            )
        )
        assert record.key == "acme/office#7"
        assert record.external_id == "99"
        assert record.labels == ("bug", "P1")
        assert record.assignees == ("li",)
        assert record.comments_count == 4
        assert record.updated_at is not None
        assert record.updated_at.isoformat() == "2026-01-06T08:00:00+00:00"
        assert record.attributes == {"author_association": "MEMBER", "milestone": "v2", "locked": "true"}
        assert record.body.startswith('It says "lp0 on fire" \\')

    def test_a_graphql_issue(self) -> None:
        document = {
            "__typename": "Issue",
            "databaseId": 5,
            "number": 8,
            "title": "Slow",
            "body": "x",
            "state": "CLOSED",
            "stateReason": "COMPLETED",
            "createdAt": "2026-01-01T00:00:00Z",
            "closedAt": "2026-01-02T00:00:00Z",
            "url": "https://github.com/acme/office/issues/8",
            "author": {"login": "li"},
            "labels": {"nodes": [{"name": "bug"}]},
            "assignees": {"edges": [{"node": {"login": "maria"}}]},
            "comments": {"totalCount": 3},
        }
        record = only(read(lines(document)))
        assert (record.repository, record.state, record.author) == ("acme/office", "closed", "li")
        assert (record.labels, record.assignees, record.comments_count) == (("bug",), ("maria",), 3)
        assert record.resolution_seconds == 86_400

    @pytest.mark.parametrize(
        ("changes", "field", "value"),
        [
            ({"number": "12"}, "number", 12),
            ({"number": "#12"}, "number", 12),
            ({"number": 12.0}, "number", 12),
            ({"body": None}, "body", ""),
            ({"user": None}, "author", None),
            ({"labels": None}, "labels", ()),
            ({"labels": "bug, P1"}, "labels", ("bug", "P1")),
            ({"labels": ["bug", "P1"]}, "labels", ("bug", "P1")),
            ({"state": None}, "state", "open"),
            ({"state": None, "closed_at": "2026-02-01T00:00:00Z"}, "state", "closed"),
            ({"closed_at": "2026-02-01T00:00:00Z"}, "closed_at", None),
            ({"pull_request": {"url": "x"}}, "is_pull_request", True),
            ({"html_url": "https://github.com/acme/office/pull/4"}, "is_pull_request", True),
            ({"repository_url": None}, "repository", "acme/office"),
            ({"repository": {"full_name": "acme/lab"}}, "repository", "acme/lab"),
            ({"repository_url": None, "owner": {"login": "acme"}, "repo": "lab"}, "repository", "acme/lab"),
            ({"title": "  spaced \n"}, "title", "spaced"),
            ({"comments": [{"body": "me too", "user": None}]}, "comments_count", 1),
        ],
    )
    def test_what_sources_write_differently(self, changes: dict[str, Any], field: str, value: object) -> None:
        assert getattr(only(read(lines(issue(**changes)))), field) == value

    def test_a_record_without_a_repository_takes_the_given_one(self) -> None:
        bare = issue(repository_url=None, html_url=None)
        assert only(read(lines(bare), repository="acme/attic")).repository == "acme/attic"
        assert "repository is missing" in refused(read(lines(bare)))[0].reason

    def test_long_columns_are_cut_and_say_so(self) -> None:
        record = only(read(lines(issue(note="x" * 5000))))
        assert record.attributes["note"].endswith("… (5,000 characters)")
        assert len(record.attributes["note"]) < 2100
