"""Reading GitHub issues from files: the forms that are accepted, and what is said of what is refused."""

import gzip
import io
import json
from pathlib import Path

import pytest

from bailiwick.connectors.records import read_github_issues
from bailiwick.kernel.documents import encode
from tests.support.github_files import issue, lines, numbers, read, refused


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
