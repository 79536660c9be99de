"""What is kept as JSON comes back the same; what cannot be kept is refused with the reason."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bailiwick.kernel.documents import decode, encode, encode_checked
from bailiwick.kernel.errors import InvalidPayloadError, PayloadTooLargeError

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class Reading(BaseModel):
    value: float
    read_at: datetime


@given(documents)
def test_a_document_comes_back_the_same(document: Any) -> None:
    assert decode(encode(document)) == document


@given(texts.map(lambda text: text + "\\u0000"))
def test_a_backslash_before_u0000_is_harmless_text(text: str) -> None:
    assert json.loads(encode({"text": text})) == {"text": text}


@pytest.mark.parametrize("document", ["\0", {"a\0b": 1}, ["x", {"y": "\\\0"}]])
def test_the_character_nul_is_refused_by_name(document: object) -> None:
    with pytest.raises(InvalidPayloadError, match=r"U\+0000"):
        encode(document, what="payload of task mail")


@pytest.mark.parametrize("document", ["\ud800", {"\udfff": 1}, {"a": ["\ud83d"]}])
def test_a_lone_surrogate_is_refused(document: object) -> None:
    with pytest.raises(InvalidPayloadError, match="payload is not JSON"):
        encode(document)


@pytest.mark.parametrize("document", [object(), {1: 2}, 2**70, b"bytes", {"f": len}])
def test_what_json_does_not_know_is_refused(document: object) -> None:
    with pytest.raises(InvalidPayloadError, match="is not JSON"):
        encode(document)


def test_endless_nesting_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidPayloadError):
        encode(endless)


def test_the_size_limit_is_exact_and_stated() -> None:
    assert len(encode("x" * 98, limit=100)) == 100
    with pytest.raises(PayloadTooLargeError, match="101 bytes, the limit is 100"):
        encode("x" * 99, limit=100)


def test_models_sets_and_times_are_encoded() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    encoded = decode(encode({"reading": Reading(value=1.5, read_at=moment), "names": {"b", "a"}}))
    assert encoded == {"reading": {"value": 1.5, "read_at": "2026-01-31T12:00:00Z"}, "names": ["a", "b"]}


def test_a_payload_that_misses_its_schema_names_every_misfit() -> None:
    with pytest.raises(InvalidPayloadError) as raised:
        encode_checked(Reading, {"value": "much", "read_at": "never"}, what="payload of event meter.read")
    assert "payload of event meter.read is invalid" in str(raised.value)
    assert "value: " in str(raised.value)
    assert "read_at: " in str(raised.value)


def test_a_misfit_does_not_repeat_the_input() -> None:
    with pytest.raises(InvalidPayloadError) as raised:
        encode_checked(Reading, {"value": "s3cret-token", "read_at": "2026-01-01T00:00:00Z"}, what="payload")
    assert "s3cret-token" not in str(raised.value)


def test_text_that_is_no_json_says_where() -> None:
    with pytest.raises(InvalidPayloadError, match="column 5"):
        decode('{"a"')
