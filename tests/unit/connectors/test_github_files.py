"""Reading GitHub issues from files: what is accepted, what is refused, and what is said about it."""

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import MAX_RAW_BYTES, RejectedRecord
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES, encode
from bailiwick.kernel.errors import InvalidInputError, NotFoundError

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


class TestForms:
    @pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
    @pytest.mark.parametrize(
        "data",
        [
            lines(issue(1), issue(2), issue(3)),
            lines(issue(1), issue(2), issue(3)).replace(b"\n", b"\r\n\r\n"),
            lines(issue(1), issue(2), issue(3)).rstrip(),
            json.dumps([issue(1), issue(2), issue(3)]).encode(),
            json.dumps([issue(1), issue(2), issue(3)], indent=2).encode(),
            b"[\n" + b",\n".join(json.dumps(issue(number)).encode() for number in (1, 2, 3)) + b"\n]\n",
            b"\n".join(json.dumps(issue(number), indent=2).encode() for number in (1, 2, 3)),
            json.dumps([issue(1), issue(2)]).encode() + json.dumps([issue(3)]).encode(),
            json.dumps([[issue(1), issue(2)], [issue(3)]]).encode(),
            json.dumps({"total_count": 3, "items": [issue(1), issue(2), issue(3)]}).encode(),
            b"\xef\xbb\xbf" + lines(issue(1), issue(2), issue(3)),
            b"\xef\xbb\xbf" + json.dumps([issue(1), issue(2), issue(3)]).encode(),
            b"\n \n" + lines(issue(1), issue(2), issue(3)),
        ],
        ids=[
            "lines", "windows-lines", "no-last-line-end", "array", "pretty-array", "array-of-lines", "pretty-objects",
            "pages", "nested-pages", "search-page", "lines-bom", "array-bom", "blank-first",
        ],
    )  # fmt: skip
    def test_every_form_gives_the_same_issues(self, data: bytes, packed: bool) -> None:
        results = read(gzip.compress(data) if packed else data)
        assert numbers(results) == [1, 2, 3]
        assert refused(results) == []

    def test_the_name_of_a_file_says_nothing_about_its_form(self, tmp_path: Path) -> None:
        path = tmp_path / "issues.txt"
        path.write_bytes(gzip.compress(lines(issue(1))) + gzip.compress(lines(issue(2))) + b"\0\0")
        assert numbers(list(read_github_issues(path))) == [1, 2]
        assert numbers(list(read_github_issues(str(path)))) == [1, 2]

    def test_a_stream_stays_open(self) -> None:
        stream = io.BytesIO(lines(issue(1)))
        list(read_github_issues(stream))
        assert not stream.closed

    def test_an_empty_array_holds_nothing(self) -> None:
        assert read("[]") == []


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


class TestRefusals:
    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (json.dumps(issue(title=None)), "title is missing"),
            (json.dumps(issue(title=" ")), "title is empty"),
            (json.dumps(issue(title=5)), "title is not a text"),
            (json.dumps(issue(title="x" * 1001)), "title"),
            (json.dumps(issue(number=None)), "number is missing"),
            (json.dumps(issue(number=-1)), "number is out of range"),
            (json.dumps(issue(number=10**30)), "number is"),
            (json.dumps(issue(number=True)), "number is not a number"),
            (json.dumps(issue(number="x")), "number is not a number"),
            (json.dumps(issue(created_at=None)), "created_at is missing"),
            (json.dumps(issue(created_at="yesterday")), "not an ISO 8601 time"),
            (json.dumps(issue(created_at=17)), "not an ISO 8601 time"),
            (json.dumps(issue(state="closed", closed_at="2020-01-01T00:00:00Z")), "before created_at"),
            (json.dumps(issue(state="limbo")), "neither open nor closed"),
            (json.dumps(issue(body=["x"])), "body is not a text"),
            (json.dumps(issue(labels=5)), "labels is not a list"),
            (json.dumps(issue(body="a\0b")), "U+0000"),
            (json.dumps(issue(note="a\0b")), "U+0000"),
            (json.dumps(issue(body="\ud800")), "half of a surrogate pair"),
            (json.dumps(issue())[:-2] + "\0}", "NUL byte"),
            (json.dumps(issue())[:-1] + ', "number": 2}', 'the key "number" occurs twice'),
            (json.dumps(issue())[:-1] + ', "x": ' + "[" * 3000 + "]" * 3000 + "}", "nested too deeply"),
            (json.dumps(issue())[:-1] + ', "x": NaN}', "not valid JSON"),
            (json.dumps(issue())[:-1], "not valid JSON"),
            ('{"number": nonsense', "not valid JSON"),
            ("null", "an object was expected"),
            ("[1, 2]", "an object was expected, not a list"),
            ('"text"', "an object was expected, not a text"),
            ("42", "an object was expected, not a number"),
            (json.dumps(issue()).replace("fire", "fi\u00e9re"), "not UTF-8 (byte 0xE9)"),
        ],
    )
    def test_a_bad_line_is_refused_with_its_reason_and_the_rest_goes_on(self, record: str, reason: str) -> None:
        encoded = record.encode("latin-1" if "\u00e9" in record else "utf-8")
        results = read(lines(issue(1)) + encoded + b"\n" + lines(issue(3)))
        assert numbers(results) == [1, 3]
        (rejected,) = refused(results)
        assert reason in rejected.reason
        assert (rejected.line, rejected.ordinal) == (2, 2)
        encode(rejected.raw, what="what is kept can always be stored")

    def test_what_to_do_about_another_encoding_is_said(self) -> None:
        results = read(lines(issue(1)) + b'{"title": "caf\xe9"}\n')
        assert "iconv -f WINDOWS-1252" in refused(results)[0].reason
        assert r"caf\xe9" in refused(results)[0].raw

    @pytest.mark.parametrize("indent", [None, 2])
    def test_a_bad_element_of_an_array_is_refused_and_the_rest_goes_on(self, indent: int | None) -> None:
        good = json.dumps([issue(1), issue(2, labels=[{"name": "a"}]), issue(3)], indent=indent)
        for broken in (
            good.replace('"number": 2,', '"number": NaN,'),
            good.replace('"number": 2,', '"number": 2 "oops",'),
            good.replace('[{"name": "a"}]', '[{"name": "a"}'),
            good.replace('"number": 2,', '"number": 2, "x": [},'),
        ):
            if broken == good:
                continue
            results = read(broken)
            assert numbers(results) == [1, 3], broken
            assert [rejected.ordinal for rejected in refused(results)] == [2]

    def test_an_unclosed_text_costs_one_record_where_records_start_on_lines_of_their_own(self) -> None:
        records = [json.dumps(issue(number)) for number in (1, 2, 3)]
        records[1] = records[1].replace('fire", ', "fire, ")
        results = read("[\n" + ",\n".join(records) + "\n]")
        assert numbers(results) == [1, 3]
        assert refused(results)[0].line == 3

    def test_elements_that_are_no_objects_are_refused_one_by_one(self) -> None:
        results = read(f'[1, "two, three", {json.dumps(issue(4))}, null, true]')
        assert numbers(results) == [4]
        assert [rejected.ordinal for rejected in refused(results)] == [1, 2, 4, 5]

    def test_a_refused_record_can_be_mended_and_read_again(self) -> None:
        (rejected,) = refused(read(lines(issue(5, title=""))))
        assert numbers(read(rejected.raw.replace('"title": ""', '"title": "Printer"'))) == [5]


class TestBrokenInputs:
    def test_a_cut_gzip_file_gives_what_came_before_and_says_where_it_broke(self) -> None:
        data = gzip.compress(lines(*(issue(number, body=str(number) * 50) for number in range(2000))))
        results = read(data[: len(data) // 2])
        count = len(numbers(results))
        assert 100 < count < 2000
        (rejected,) = refused(results)
        assert "cut off after" in rejected.reason
        assert (rejected.line, rejected.ordinal) == (count + 1, count + 1)

    def test_a_cut_gzip_array_gives_what_came_before(self) -> None:
        data = gzip.compress(json.dumps([issue(number, body=str(number) * 50) for number in range(2000)]).encode())
        results = read(data[: len(data) // 2])
        assert len(numbers(results)) > 100
        assert ["cut off after" in rejected.reason for rejected in refused(results)] == [True]

    def test_damaged_gzip_data_says_so(self) -> None:
        data = bytearray(gzip.compress(lines(*(issue(number, body=str(number) * 50) for number in range(2000)))))
        data[len(data) // 2] ^= 0xFF
        assert "gzip data is" in refused(read(bytes(data)))[-1].reason

    @pytest.mark.parametrize("cut", [1, 30, 300])
    def test_a_cut_array_is_noticed(self, cut: int) -> None:
        results = read(json.dumps([issue(1), issue(2)])[:-cut])
        assert 1 in numbers(results)
        assert len(refused(results)) == 1
        assert "cut off" in refused(results)[0].reason

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "is empty"),
            (b" \n\n", "is empty"),
            (gzip.compress(b"", mtime=0), "is empty"),
            (json.dumps([issue()]).encode("utf-16"), "UTF-16 text; convert it first: iconv -f UTF-16"),
            (json.dumps([issue()]).encode("utf-16-le"), "UTF-16"),
            (b"<!doctype html><p>Sign in</p>", "HTML or XML"),
            (b"PK\x03\x04rest", "zip archive"),
            (b"%PDF-1.7", "PDF"),
            (b"Summary,Issue id,Status\nx,1,Open\n", "seems to be CSV"),
            (b"just some words", "begins with 'just some words'"),
            (bytes(range(1, 200)), "binary data"),
        ],
    )
    def test_what_is_no_json_is_refused_with_what_it_seems_to_be(self, data: bytes, said: str) -> None:
        with pytest.raises(InvalidInputError) as raised:
            read(data)
        assert said in str(raised.value)

    def test_a_missing_file_a_directory_and_a_text_stream(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no file"):
            list(read_github_issues(tmp_path / "none.json"))
        with pytest.raises(InvalidInputError, match="is a directory"):
            list(read_github_issues(tmp_path))
        with pytest.raises(InvalidInputError, match="binary mode"):
            list(read_github_issues(io.StringIO("[]")))  # pyright: ignore[reportArgumentType]

    def test_a_file_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(InvalidInputError, match="give it read permission"):
            list(read_github_issues(tmp_path / "x"))

    def test_a_read_error_keeps_what_came_before(self) -> None:
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                data = super().read(size)
                if not data:
                    raise OSError(5, "Input/output error")
                return data

        results = list(read_github_issues(Failing(lines(issue(1), issue(2)))))
        assert numbers(results) == [1, 2]
        assert "Input/output error" in refused(results)[0].reason


class TestSizes:
    def test_an_issue_with_too_many_comments_keeps_the_first_ones_and_says_so(self) -> None:
        comments = [{"body": f"comment {number} " + "é" * 2000, "user": {"login": "li"}} for number in range(200)]
        record = only(read(lines(issue(comments=comments))))
        kept = len(record.comments)
        assert 40 < kept < 200
        assert record.comments[0].body.startswith("comment 0 ")
        assert record.attributes["comments_kept"] == f"{kept} of 200"
        assert record.comments_count == 200
        assert len(encode(record)) <= MAX_PAYLOAD_BYTES

    @pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES, 3 * 1024 * 1024, 9 * 1024 * 1024])
    @pytest.mark.parametrize("form", ["lines", "array"])
    def test_an_issue_too_large_by_itself_is_refused_with_the_limit(self, size: int, form: str) -> None:
        documents = [issue(1), issue(2, body="x" * size), issue(3)]
        results = read(lines(*documents) if form == "lines" else json.dumps(documents))
        assert numbers(results) == [1, 3]
        (rejected,) = refused(results)
        assert ("the limit is 262,144" if size <= 3 * 1024 * 1024 else "longer than 4 MiB") in rejected.reason
        assert rejected.raw_truncated
        assert len(rejected.raw.encode()) <= MAX_RAW_BYTES
        assert "only the first 256 KiB of the record are kept" in rejected.reason

    @pytest.mark.parametrize("form", ["lines", "array"])
    def test_memory_does_not_grow_with_the_input(self, form: str) -> None:
        class Endless(io.RawIOBase):
            """Issues made as they are read, so that only the reader's memory counts."""

            def __init__(self, count: int) -> None:
                self._left = count
                self._first = True

            def read(self, size: int = -1, /) -> bytes:
                del size
                if self._left == 0:
                    return b""
                self._left -= 1
                text = lines(*(issue(self._left, body="x" * 5000) for _ in range(20)))
                if form == "lines":
                    return text
                text = text.replace(b"\n", b",")
                text = b"[" + text if self._first else text
                self._first = False
                return text if self._left else text[:-1] + b"]"

        def peak(count: int) -> int:
            tracemalloc.start()
            total = sum(1 for result in read_github_issues(Endless(count)) if isinstance(result, IssueRecord))  # pyright: ignore[reportArgumentType]
            _, highest = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert total == 20 * count
            return highest

        peak(2)
        assert peak(100) < peak(20) + 1_000_000


@pytest.mark.parametrize("tail", [b"", b"\n", b"]"])
def test_one_cut_off_record_is_one_rejection(tail: bytes) -> None:
    results = read(b"[" + json.dumps(issue(1)).encode() + b"," + b'{"number": 2, "title": "x' + tail)
    assert numbers(results) == [1]
    assert len(refused(results)) == 1
