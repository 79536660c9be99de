"""Whatever bytes come, a reader answers with records, rejections or one clear error."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.connectors.csv import read_csv_issues
from bailiwick.connectors.importing import RejectedRecord
from bailiwick.connectors.readings import COLUMNS, read_meter_readings
from bailiwick.connectors.records import read_github_issues
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import BailiwickError

Reader = Callable[[io.BytesIO], Iterator[object]]
READERS: dict[str, Reader] = {
    "github": read_github_issues,
    "csv": read_csv_issues,
    "meters": read_meter_readings,
}
CSV_HEADER = b"Summary,Id,Created\n"
METER_HEADER = b"meter_id,unit,value,read_at,interval_minutes\n"

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
field_names = st.sampled_from(
    ("number", "title", "body", "state", "created_at", "closed_at", "labels", "user", "comments", "repository", "owner",
     "repo", "html_url", "pull_request", "items", "assignees", "id", "author")
)  # fmt: skip
likely = st.sampled_from((1, "7", "open", "CLOSED", "2026-01-01T00:00:00Z", "acme/shop", "a title", {"login": "li"}))
documents = st.dictionaries(field_names, likely | values, max_size=10)


def answers(reader: Reader, data: bytes) -> list[object]:
    try:
        results = list(reader(io.BytesIO(data)))
    except BailiwickError:
        return []
    for result in results:
        assert encode(result.raw if isinstance(result, RejectedRecord) else result, limit=1 << 20)
    ordinals = [result.ordinal for result in results if isinstance(result, RejectedRecord)]
    assert ordinals == sorted(ordinals)
    return results


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    answers(READERS[name], data)


@pytest.mark.parametrize("name", READERS)
@given(data=st.lists(st.sampled_from([bytes((byte,)) for byte in b'{}[],:1a\\\n\r"\0\xff'])))
def test_any_play_of_structural_bytes(name: str, data: list[bytes]) -> None:
    for start in (b"", b"{", b"[", CSV_HEADER, METER_HEADER):
        answers(READERS[name], start + b"".join(data))


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=300), cut=st.integers(min_value=1, max_value=300))
def test_any_cut_or_spoilt_gzip(name: str, data: bytes, cut: int) -> None:
    packed = gzip.compress(b'[{"number": 1}, ' + data)
    answers(READERS[name], packed[:cut])
    answers(READERS[name], packed[:cut] + data)


@given(records=st.lists(documents | values.filter(lambda value: not isinstance(value, list)), min_size=1, max_size=6))
def test_every_record_of_an_array_is_accepted_or_rejected(records: list[Any]) -> None:
    for text in (json.dumps(records), json.dumps(records, indent=1), json.dumps(records, ensure_ascii=False)):
        data = text.encode("utf-8", "surrogatepass")
        results = answers(read_github_issues, data)
        pages = [record for record in records if _is_page(record)]
        if not pages:
            assert len(results) == len(records)


@given(records=st.lists(documents, min_size=1, max_size=6))
def test_every_line_is_accepted_or_rejected(records: list[dict[str, Any]]) -> None:
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    results = answers(read_github_issues, data)
    if not any(_is_page(record) for record in records):
        assert len(results) == len(records)


@given(records=st.lists(documents, min_size=2, max_size=4), position=st.integers(0, 3), junk=st.binary(max_size=30))
def test_a_spoilt_line_leaves_the_others_as_they_are(records: list[dict[str, Any]], position: int, junk: bytes) -> None:
    lines = [json.dumps(record).encode() for record in records]
    before = answers(read_github_issues, b"\n".join(lines))
    index = position % len(lines)
    lines.insert(index, b'{"spoilt": ' + junk.replace(b"\n", b"") + b"\xff")
    after = answers(read_github_issues, b"\n".join(lines))
    if not any(_is_page(record) for record in records):
        rest = after[:index] + after[index + 1 :]
        assert [_outcome(result) for result in rest] == [_outcome(result) for result in before]
        assert isinstance(after[index], RejectedRecord)


@given(cells=st.lists(st.tuples(st.text(max_size=30), st.integers(0, 10**9)), min_size=1, max_size=8))
def test_every_row_of_a_table_is_accepted_or_rejected(cells: list[tuple[str, int]]) -> None:
    def quoted(text: str) -> bytes:
        return b'"' + text.replace('"', '""').encode("utf-8", "surrogatepass") + b'"'

    rows = [quoted(title) + b",%d,2026-01-01\n" % number for title, number in cells]
    assert len(answers(read_csv_issues, CSV_HEADER + b"".join(rows))) == len(cells)


@given(rows=st.lists(st.dictionaries(st.sampled_from(COLUMNS), likely | values), min_size=1, max_size=6))
def test_every_reading_is_accepted_or_rejected(rows: list[dict[str, Any]]) -> None:
    assert len(answers(read_meter_readings, json.dumps(rows).encode())) == len(rows)


def _is_page(record: object) -> bool:
    return isinstance(record, dict) and "title" not in record and isinstance(record.get("items"), list)


def _outcome(result: object) -> object:
    return result.reason if isinstance(result, RejectedRecord) else result
