"""Verification of exports: whatever is changed is found, and where."""

import gzip
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.audit.canonical import canonical
from bailiwick.audit.ed25519 import SigningKey, kid_of, new_key, parse_public_key, to_text
from bailiwick.audit.verifying import verify_file, verify_lines
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from tests.support.audit import BEGAN, export_of, line_of_keys

KEY, KEYS = line_of_keys(3)
EXPORT = export_of(10, key=KEY, keys=KEYS)
RIVAL = export_of(10, key=KEY, keys=KEYS)


def test_an_export_as_it_was_written_is_intact() -> None:
    verdict = verify_lines(EXPORT, key=KEYS[0].public_key)
    assert verdict.error is None
    assert (verdict.entries, verdict.roots, verdict.covered_seq, verdict.organization) == (10, 4, 10, "acme")
    assert verdict.is_pinned
    assert verdict.uncovered_since is None


def test_an_empty_chain_is_intact() -> None:
    assert verify_lines(export_of(0)).is_intact


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in _paths(inner, (*path, name))]
    if isinstance(value, list):
        return [found for place, inner in enumerate(value) for found in _paths(inner, (*path, place))]
    return [path]


FIELDS = [(number, path) for number, line in enumerate(EXPORT) for path in _paths(orjson.loads(line))]
VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.floats(allow_nan=False, width=16)


@given(st.sampled_from(FIELDS), VALUES)
def test_any_edit_of_any_field_is_found(field: tuple[int, tuple[Any, ...]], value: Any) -> None:
    number, path = field
    document = orjson.loads(EXPORT[number])
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    if orjson.dumps(inner[path[-1]]) == orjson.dumps(value):
        return
    inner[path[-1]] = value
    changed = [*EXPORT[:number], canonical(document) + b"\n", *EXPORT[number + 1 :]]
    assert not verify_lines(changed).is_intact


@given(st.integers(0, len(b"".join(EXPORT)) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, flip: int) -> None:
    data = bytearray(b"".join(EXPORT))
    data[place] ^= flip
    assert not verify_lines(bytes(data).splitlines(keepends=True)).is_intact


@given(st.data())
def test_any_line_removed_doubled_moved_or_taken_from_another_export_is_found(data: st.DataObject) -> None:
    places = st.integers(0, len(EXPORT) - 1)
    lines = list(EXPORT)
    place = data.draw(places)
    match data.draw(st.sampled_from(["remove", "double", "swap", "move", "splice", "cut", "insert"])):
        case "remove":
            del lines[place]
        case "double":
            lines.insert(data.draw(places), lines[place])
        case "swap":
            other = data.draw(places.filter(lambda other: other != place))
            lines[place], lines[other] = lines[other], lines[place]
        case "move":
            lines.insert(
                data.draw(st.integers(0, len(lines) - 2).filter(lambda other: other != place)), lines.pop(place)
            )
        case "splice":
            lines[place] = RIVAL[place]
        case "cut":
            del lines[place:]
        case _:
            lines.insert(place, RIVAL[data.draw(places)])
    assert not verify_lines(lines).is_intact


@given(st.integers(1, len(EXPORT) - 1))
def test_everything_from_one_line_on_taken_from_another_organization_is_found(place: int) -> None:
    assert not verify_lines([*EXPORT[:place], *RIVAL[place:]]).is_intact


@pytest.mark.parametrize("seq", [1, 4, 10])
def test_the_first_broken_entry_is_named(seq: int) -> None:
    lines = [
        line.replace(b'"name":"Anna"', b'"name":"Otto"') if f'"target":"limit:kind:{seq}"'.encode() in line else line
        for line in EXPORT
    ]
    verdict = verify_lines(lines)
    assert verdict.error == f"entry {seq}: its hash does not fit its content, so it was edited"
    assert verdict.entries == seq - 1


def test_an_edit_with_every_later_hash_made_anew_is_stopped_by_the_next_root() -> None:
    lines = _rewritten_from(EXPORT, 5)
    error = verify_lines(lines).error
    assert error is not None
    assert re.match(r"root 2", error)


def _rewritten_from(lines: list[bytes], seq: int) -> list[bytes]:
    """The work of somebody who has everything but the signing key."""
    from bailiwick.audit.canonical import digest  # noqa: PLC0415 - the forger's own tool

    made: list[bytes] = []
    previous: str | None = None
    for line in lines:
        document = orjson.loads(line)
        if document["type"] == "entry" and document["content"]["seq"] >= seq:
            document["content"]["act"]["reason"] = "forged"
            document["content"]["previous"] = previous or document["content"]["previous"]
            previous = document["hash"] = digest(canonical(document["content"]))
        made.append(canonical(document) + b"\n")
    return made


def test_a_tail_without_its_end_is_reported_with_what_no_root_covers() -> None:
    lines = EXPORT[:6]  # header, three entries, their root, and one more
    verdict = verify_lines(lines)
    assert verdict.error is not None
    assert "the first entry that is not there is entry 5" in verdict.error
    assert "entries 4 to 4 are not covered by a root since 2026-11-21 08:30:04 UTC" in verdict.error


def test_a_cut_before_a_root_is_found_even_with_a_new_end() -> None:
    lines = [line for line in EXPORT if b'"target":"limit:kind:10"' not in line]
    error = verify_lines(lines).error
    assert error is not None
    assert error.startswith("root 4: its seq is 10, not 9")


def test_an_export_signed_by_a_stranger_is_refused_under_the_known_key() -> None:
    stranger = export_of(4)
    assert verify_lines(stranger).is_intact
    error = verify_lines(stranger, key=KEYS[-1].public_key).error
    assert error is not None
    assert "another installation" in error


def test_a_stranger_cannot_join_the_line_of_keys() -> None:
    impostor, public = new_key(SigningKey(KEYS[-1].kid, 3, new_key(None, BEGAN)[0].private_key), BEGAN)
    lines = export_of(4, key=impostor, keys=[*KEYS, public])
    error = verify_lines(lines, key=KEYS[0].public_key).error
    assert error == "key 4: the key before it did not endorse it"


@pytest.mark.parametrize("known", range(3))
def test_any_key_of_the_line_is_good_to_check_against(known: int) -> None:
    assert verify_lines(EXPORT, key=KEYS[known].public_key).is_intact


@pytest.mark.parametrize("pack", [False, True])
def test_a_file_is_verified_plain_or_packed(tmp_path: Path, pack: bool) -> None:
    data = b"".join(EXPORT)
    path = tmp_path / "audit.jsonl"
    path.write_bytes(gzip.compress(data) if pack else data)
    assert verify_file(path).is_intact
    path.write_bytes(path.read_bytes()[:-50])
    assert not verify_file(path).is_intact


@given(st.binary(max_size=200))
def test_any_rubbish_is_refused_without_a_crash(data: bytes) -> None:
    assert not verify_lines(data.splitlines(keepends=True)).is_intact
    assert not verify_lines([EXPORT[0], *data.splitlines(keepends=True)]).is_intact


def test_a_missing_file_and_a_bad_key_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify_file(tmp_path / "none")
    with pytest.raises(InvalidInputError, match="audit key"):
        parse_public_key("rubbish")
    assert parse_public_key(f" {to_text(KEYS[0].public_key)}\n") == KEYS[0].public_key
    assert kid_of(KEYS[0].public_key) == KEYS[0].kid
