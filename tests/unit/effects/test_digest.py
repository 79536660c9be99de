"""The digest: everything that may not move is in it, and nothing else."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.effects.digest import digest_of

BOUND: dict[str, Any] = {
    "tool": "folder.append", "version": "1", "arguments": {"name": "file", "n": 1}, "target": "file:file",
    "observed": ["line"], "policy_version": "3/1", "price": Decimal("2.5"),
}  # fmt: skip

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def digest(**changed: Any) -> str:
    given = BOUND | changed
    return digest_of(given.pop("tool"), given.pop("version"), given.pop("arguments"), **given)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("tool", "folder.replace"), ("version", "2"), ("arguments", {"name": "file", "n": 2}),
        ("target", "file:other"), ("observed", ["line", "another"]), ("policy_version", "4/1"),
        ("price", Decimal("2.51")),
    ],
)  # fmt: skip
def test_each_of_the_seven_changes_it(name: str, other: Any) -> None:
    assert digest(**{name: other}) != digest()


def test_what_is_equal_has_one_digest() -> None:
    assert digest(price=Decimal("2.50")) == digest()
    assert digest(arguments={"n": 1, "name": "file"}) == digest()
    assert digest(arguments={"n": 1.0, "name": "file"}) == digest()


@given(documents)
def test_a_document_has_the_digest_of_what_the_database_gives_back(document: Any) -> None:
    """PostgreSQL writes numbers of jsonb with all their digits."""

    def as_jsonb(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, dict):
            return {key: as_jsonb(entry) for key, entry in value.items()}
        return [as_jsonb(entry) for entry in value] if isinstance(value, list) else value

    try:
        orjson.dumps(document)
    except orjson.JSONEncodeError:
        return
    assert digest(arguments=document) == digest(arguments=as_jsonb(document))
