import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.labels import by, checked, declared, is_untrusted, untrusted


@given(st.text(), st.sampled_from(["user", "key", "service", "system"]))
def test_whoever_asks_gets_a_label_that_is_one(identifier: str, kind: str) -> None:
    assert checked([by(kind, identifier)])


@given(st.text())
def test_a_source_is_a_lower_case_name_or_refused(source: str) -> None:
    try:
        label = untrusted(source)
    except InvalidInputError:
        return
    assert checked([label]) == {label}
    assert is_untrusted([label])
    assert label.isascii()
    assert label.isprintable()
    assert " " not in label


def test_a_declared_source_stands_in_only_where_no_door_said_one() -> None:
    assert declared(frozenset(), None) == frozenset()
    assert declared(frozenset({"by:user:a"}), "issues") == {"by:user:a", "untrusted:issues"}
    assert declared(frozenset({"untrusted:github"}), "issues") == {"untrusted:github"}


def test_who_asked_is_not_what_was_said() -> None:
    assert not is_untrusted(["by:user:untrusted:github"])
    with pytest.raises(InvalidInputError):
        checked(["untrusted:github\n"])
