"""Broken and huge files of GitHub issues: each record is taken or refused, memory stays bounded."""

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.records import read_github_issues
from bailiwick.connectors.rejected import MAX_RAW_BYTES
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES, encode
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from tests.support.github_files import issue, lines, numbers, only, read, refused


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
