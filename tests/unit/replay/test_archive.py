"""An archive comes back as it was written, or is refused by the name of the part that was changed."""

import io
import struct
import zipfile
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.audit.ed25519 import new_key
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.replay.archive import TamperedArchiveError, parse_archive, read_archive, write_archive

KEY, PUBLIC = new_key(None, datetime(2026, 1, 1, tzinfo=UTC))
OTHER_KEY, OTHER_PUBLIC = new_key(None, datetime(2026, 1, 2, tzinfo=UTC))
PARTS: dict[str, list[dict[str, Any]]] = {
    "task": [{"id": "t", "kind": "order"}],
    "journal": [{"seq": 0, "name": "price", "result": 3}, {"seq": 1, "name": "ship", "result": "é"}],
}
DATA = write_archive({"run": {"id": "t"}, "hidden": {"person": 2}}, PARTS, key=KEY, keys=[PUBLIC])

DOCUMENTS = st.lists(
    st.dictionaries(st.text(max_size=6), st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=20), max_size=4),
    max_size=4,
)


@given(st.dictionaries(st.text("abcdefghij", min_size=1, max_size=8).filter(lambda name: name != "task"), DOCUMENTS))
def test_what_is_written_comes_back(parts: dict[str, Any]) -> None:
    written = {"task": [{"id": "t"}], **parts}
    data = write_archive({"run": {"id": "t"}}, written, key=KEY, keys=[PUBLIC])
    read = parse_archive(data, key=PUBLIC.public_key)
    assert {name: list(documents) for name, documents in read.parts.items()} == written
    assert (read.is_signed, read.is_pinned, read.manifest["run"]) == (True, True, {"id": "t"})
    assert write_archive({"run": {"id": "t"}}, written, key=KEY, keys=[PUBLIC]) == data


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_found(place: int, flip: int) -> None:
    changed = bytearray(DATA)
    changed[place] ^= flip
    with pytest.raises(TamperedArchiveError):
        parse_archive(bytes(changed))


@given(st.integers(0, len(DATA) - 1))
def test_a_cut_archive_is_found(length: int) -> None:
    with pytest.raises(TamperedArchiveError):
        parse_archive(DATA[:length])


def test_something_added_behind_or_before_is_found() -> None:
    for data in (DATA + b"x", b"x" + DATA):
        with pytest.raises(TamperedArchiveError, match="container"):
            parse_archive(data)


def nested(depth: int) -> bytes:
    """Return a zip of which each part holds the next one whole."""
    inner, entries = b"x" * 1000, b""
    headers: list[bytes] = []
    for number in reversed(range(depth)):
        name = f"{number:04}.jsonl".encode()
        fields = (20, 0, 0, 0, 33, zlib.crc32(inner), len(inner), len(inner), len(name), 0)
        headers.append(struct.pack("<HHHHHIIIHH", *fields) + name)
        inner = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + name + inner
    offset = 0
    for packed in reversed(headers):
        header, name = packed[:26], packed[26:]
        entries += b"PK\1\2" + struct.pack("<H", 20) + header + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name
        offset += 30 + len(name)
    return inner + entries + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, depth, depth, len(entries), len(inner), 0)


def test_parts_within_parts_are_not_unpacked() -> None:
    data = nested(200)
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        assert sum(entry.file_size for entry in container.infolist()) > 40 * len(data)
    with pytest.raises(TamperedArchiveError, match="overlap"):
        parse_archive(data)


def repacked(**changes: bytes | None) -> bytes:
    """Return the archive with parts replaced, added or left out, as a zip tool would write it."""
    with zipfile.ZipFile(io.BytesIO(DATA)) as old:
        files: dict[str, bytes | None] = {name: old.read(name) for name in old.namelist()}
    files |= {name.replace("__", "-").replace("_", "."): data for name, data in changes.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        for name, data in files.items():
            if data is not None:
                new.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"journal_jsonl": b'{"seq":0}\n'}, "journal.jsonl"),
        ({"journal_jsonl": None}, "journal.jsonl"),
        ({"notes_jsonl": b"{}\n"}, "notes.jsonl"),
        ({"manifest_json": b"{}"}, "manifest.json"),
        ({"signature_json": b"null"}, "signature.json"),
        ({"signature_json": b"[]"}, "signature.json"),
        ({}, "container"),
    ],
)
def test_the_refusal_names_the_part(changes: dict[str, bytes | None], part: str) -> None:
    with pytest.raises(TamperedArchiveError, match=part):
        parse_archive(repacked(**changes))


def test_whoever_writes_the_hashes_anew_lacks_the_key() -> None:
    forged = write_archive({"run": {"id": "t"}}, {**PARTS, "journal": []}, key=OTHER_KEY, keys=[OTHER_PUBLIC])
    assert parse_archive(forged).is_signed
    with pytest.raises(TamperedArchiveError, match="another installation"):
        parse_archive(forged, key=PUBLIC.public_key)


def test_an_unsigned_archive_says_so_and_is_refused_where_a_key_is_asked_for() -> None:
    unsigned = write_archive({"run": {"id": "t"}}, PARTS)
    assert not parse_archive(unsigned).is_signed
    with pytest.raises(TamperedArchiveError):
        parse_archive(unsigned, key=PUBLIC.public_key)


def test_what_is_no_archive_is_refused_with_a_sentence(tmp_path: Any) -> None:
    with pytest.raises(NotFoundError):
        read_archive(tmp_path / "missing.zip")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidInputError, match="no archive"):
        read_archive(tmp_path / "text")
