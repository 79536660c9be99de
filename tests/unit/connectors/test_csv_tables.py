"""Reading issues from CSV exports."""

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bailiwick.connectors.csv import CsvMapping, read_csv_issues
from bailiwick.connectors.issues import IssueRecord
from bailiwick.connectors.rejected import RejectedRecord
from bailiwick.kernel.errors import BailiwickError, InvalidInputError, NotFoundError

Result = IssueRecord | RejectedRecord
HEADER = "Summary,Issue id,Status,Created,Resolved,Description\n"


def read(text: str | bytes, mapping: CsvMapping | None = None, repository: str | None = None) -> list[Result]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_csv_issues(io.BytesIO(data), mapping, repository=repository))


def issues(results: list[Result]) -> list[IssueRecord]:
    return [result for result in results if isinstance(result, IssueRecord)]


def refused(results: list[Result]) -> list[RejectedRecord]:
    return [result for result in results if isinstance(result, RejectedRecord)]


class TestMapping:
    def test_an_export_of_a_usual_tracker_needs_no_map(self) -> None:
        text = HEADER + 'Disk full,HD-17,Resolved,01/Jan/26 02:52,02/Jan/26 16:30,"Two\nlines, ""quoted"""\n'
        (record,) = issues(read(text, repository="HD"))
        assert (record.key, record.external_id, record.state) == ("HD#17", "HD-17", "closed")
        assert record.body == 'Two\nlines, "quoted"'
        assert record.created_at == datetime(2026, 1, 1, 2, 52, tzinfo=UTC)
        assert record.closed_at == datetime(2026, 1, 2, 16, 30, tzinfo=UTC)
        assert record.attributes == {"Status": "Resolved"}

    def test_a_map_names_the_columns_and_the_rest_become_attributes(self) -> None:
        mapping = CsvMapping.parse('title=What, number = No,created_at=Opened,"body=Why, how"')
        (record,) = issues(read('What,No,Opened,"Why, how",Team\nA,1,2026-01-01,B,red\n', mapping))
        assert (record.title, record.number, record.body) == ("A", 1, "B")
        assert record.attributes == {"Team": "red"}
        assert CsvMapping.parse(mapping.written()) == mapping

    def test_a_map_that_names_some_fields_is_completed_by_guesses(self) -> None:
        (record,) = issues(read("Summary,Id,Created,Nickname\nA,1,2026-01-01,B\n", CsvMapping.parse("title=Nickname")))
        assert (record.title, record.number) == ("B", 1)
        assert record.attributes == {"Summary": "A"}

    def test_a_missing_column_lists_what_there_is_and_a_suggestion(self) -> None:
        with pytest.raises(InvalidInputError) as raised:
            read("Thing,Summary,When\n1,2,3\n")
        assert str(raised.value) == (
            "no column is known for number, created_at; the columns are: Thing, Summary, When. "
            "Suggested: --map title=Summary,number=?,created_at=?"
        )
        with pytest.raises(InvalidInputError, match="no column 'Sumary'; the columns are: Summary, Id, Created"):
            read("Summary,Id,Created\n", CsvMapping.parse("title=Sumary"))

    @pytest.mark.parametrize("text", ["title", "title=", "nonsense=A", '"title=A'])
    def test_an_unreadable_map_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInputError):
            CsvMapping.parse(text)

    def test_the_project_is_the_file_unless_it_is_given(self, tmp_path: Path) -> None:
        path = tmp_path / "billing.csv.gz"
        path.write_bytes(gzip.compress(b"Summary,Id,Created\nA,1,2026-01-01\n"))
        assert issues(list(read_csv_issues(path)))[0].repository == "billing"
        assert issues(list(read_csv_issues(path, repository="B")))[0].repository == "B"
        assert issues(read("Summary,Id,Created,Project\nA,1,2026-01-01,C\n"))[0].repository == "C"


class TestStates:
    @pytest.mark.parametrize(
        ("status", "resolved", "state"),
        [
            ("Open", "", "open"),
            ("Patch Available", "", "open"),
            ("Reopened", "02/Jan/26 00:00", "open"),
            ("Resolved", "", "closed"),
            ("Some custom state", "", "open"),
            ("Some custom state", "02/Jan/26 00:00", "closed"),
            ("", "02/Jan/26 00:00", "closed"),
        ],
    )
    def test_the_word_decides_and_else_the_closing_time(self, status: str, resolved: str, state: str) -> None:
        (record,) = issues(read(f"{HEADER}A,1,{status},01/Jan/26 00:00,{resolved},\n"))
        assert record.state == state
        assert (record.closed_at is not None) == (state == "closed" and resolved != "")


class TestTimes:
    @pytest.mark.parametrize(
        "written",
        [
            "2026-03-14T15:09:00Z", "2026-03-14 15:09", "2026-03-14T17:09:00+02:00", "14/Mar/26 15:09",
            "14/Mar/2026 3:09 PM", "14.03.2026 15:09", "14/03/2026 15:09", "03/14/2026 15:09:00", "2026/03/14 15:09",
            "14 Mar 2026 15:09", "Mar 14, 2026 3:09 PM", "1773500940", "1773500940000", "2026-03-14 15:09:00 UTC",
            "Sat, 14 Mar 2026 15:09:00 +0000",
        ],
    )  # fmt: skip
    def test_usual_forms_are_recognized(self, written: str) -> None:
        (record,) = issues(read(f'Summary,Id,Created\nA,1,"{written}"\n'))
        assert record.created_at == datetime(2026, 3, 14, 15, 9, tzinfo=UTC)

    def test_a_time_that_can_be_read_in_two_ways_is_asked_about(self) -> None:
        with pytest.raises(InvalidInputError, match=r"more than one way .* say which with --date-format"):
            read("Summary,Id,Created\nA,1,03/04/2026\nB,2,05/06/2026\n")

    def test_one_clear_row_settles_it(self) -> None:
        results = issues(read("Summary,Id,Created\nA,1,03/04/2026\nB,2,25/06/2026\n"))
        assert results[0].created_at == datetime(2026, 4, 3, tzinfo=UTC)

    def test_a_given_format_and_zone_are_used(self) -> None:
        mapping = CsvMapping(date_format="%m/%d/%Y %H:%M", timezone=ZoneInfo("Europe/Berlin"))
        (record,) = issues(read("Summary,Id,Created\nA,1,07/04/2026 12:00\n", mapping))
        assert record.created_at == datetime(2026, 7, 4, 10, 0, tzinfo=UTC)

    def test_an_unknown_form_asks_for_it(self) -> None:
        with pytest.raises(InvalidInputError, match="no known form, for example 'the other day'"):
            read("Summary,Id,Created\nA,1,the other day\n")

    def test_an_odd_cell_is_refused_and_the_others_read(self) -> None:
        results = read("Summary,Id,Created\nA,1,2026-01-01\nB,2,2026-01-02\nC,3,soon\nD,4,2026-01-04\n")
        assert [record.number for record in issues(results)] == [1, 2, 4]
        assert "Created is not an ISO 8601 time: 'soon'" in refused(results)[0].reason


class TestRows:
    @pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
    def test_the_delimiter_is_found(self, mark: str) -> None:
        text = "Summary,Id,Created,Note\nA,1,2026-01-01,x\n".replace(",", mark)
        assert [record.number for record in issues(read(text))] == [1]

    def test_bad_rows_are_refused_with_their_line_and_the_rest_goes_on(self) -> None:
        data = (
            b"\xef\xbb\xbfSummary,Id,Created\r\n"
            b'"two\r\nlines",1,2026-01-01\r\n'
            b"caf\xe9,2,2026-01-01\r\n"
            b"short,3\r\n"
            b",4,2026-01-01\r\n"
            b"\r\n"
            b"nul\0,5,2026-01-01\r\n"
            b"none,x,2026-01-01\r\n"
            b'"quote" oops,6,2026-01-01\r\n'
            b"good,7,2026-01-01"
        )
        results = read(data)
        assert [record.number for record in issues(results)] == [1, 7]
        assert [(rejected.line, rejected.ordinal, rejected.reason[:24]) for rejected in refused(results)] == [
            (4, 2, "is not UTF-8 (byte 0xE9)"),
            (5, 3, "has 2 columns where the "),
            (6, 4, "Summary is empty"),
            (8, 5, "the issue holds the char"),
            (9, 6, "Id holds no number: 'x'"),
            (10, 7, "is not valid CSV: ',' ex"),
        ]

    def test_a_refused_row_is_a_table_that_can_be_mended_and_read(self) -> None:
        (rejected,) = refused(read("Summary;Id;Created\n;4;2026-01-01\n"))
        assert rejected.raw == "Summary;Id;Created\n;4;2026-01-01\n"
        assert issues(read(rejected.raw.replace("\n;", "\nMended;")))[0].title == "Mended"

    def test_a_quote_that_is_never_closed_costs_a_bounded_part(self) -> None:
        rows = "".join(f'"row {number}",{number},2026-01-01\n' for number in range(1, 60_000))
        results = read("Summary,Id,Created\n" + '"open,0,2026-01-01\n' + rows)
        assert len(issues(results)) > 15_000
        assert refused(results)[0].line == 2

    def test_a_huge_field_is_refused_by_itself(self) -> None:
        results = read(f"Summary,Id,Created\nA,1,2026-01-01\n{'x' * 6_000_000},2,2026-01-01\nC,3,2026-01-01\n")
        assert [record.number for record in issues(results)] == [1, 3]
        assert "more than 1,048,576 characters" in refused(results)[0].reason
        large = read(f'Summary,Id,Created,Description\nA,1,2026-01-01,"{"y" * 400_000}"\n')
        assert "the limit is 262,144" in refused(large)[0].reason

    def test_a_cut_gzip_table_says_where_it_broke(self) -> None:
        rows = "".join(f"row {number},{number},2026-01-01\n" for number in range(1, 20_000))
        results = read(gzip.compress(b"Summary,Id,Created\n" + rows.encode())[:-4000])
        assert len(issues(results)) > 1000
        assert ["cut off after" in rejected.reason for rejected in refused(results)] == [True]

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "is empty"),
            (b"\n\n", "is empty"),
            (b'[{"number": 1}]', "seems to be JSON"),
            (b"PK\x03\x04", "save the sheet as CSV"),
            (b"Sum\xe9,b\n", "not UTF-8"),
            ("Summary,Id\n".encode("utf-16"), "UTF-16"),
            (b'"never closed', "no readable header"),
        ],
    )
    def test_what_is_no_table_is_refused(self, data: bytes, said: str) -> None:
        with pytest.raises(InvalidInputError) as raised:
            read(data)
        assert said in str(raised.value)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError):
            list(read_csv_issues(tmp_path / "none.csv"))

    def test_columns_of_one_name_are_told_apart(self) -> None:
        (record,) = issues(read("Summary,Id,Created,Link,Link\nA,1,2026-01-01,x,y\n"))
        assert record.url == "x"
        assert record.attributes == {"Link (2)": "y"}


def test_an_error_is_one_a_person_can_be_told() -> None:
    with pytest.raises(BailiwickError, match="first row must name the columns"):
        read("  \n,,\n")
