"""What is found of a person and taken out, and what only looks like it and stays."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.privacy.identifiers import Identifier
from bailiwick.privacy.redaction import MARKER, Redaction

ANN = Redaction(
    [Identifier.parse(one) for one in ("email:Ann@Acme.test", "login:ann", "name:Ann Lee", "user:" + "a" * 32)]
)
USER = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("write to ann@acme.test.", f"write to {MARKER}."),
        ("<ANN@ACME.TEST>", f"<{MARKER}>"),
        ("mailto:ann@acme.test?x", f"mailto:{MARKER}?x"),
        ("ask @ann, please", f"ask {MARKER}, please"),
        ("ask @Ann!", f"ask {MARKER}!"),
        ("https://github.com/ann", f"https://github.com/{MARKER}"),
        ("says Ann  Lee:", f"says {MARKER}:"),
        (f"user {USER} left", f"user {MARKER} left"),
        ("ann", MARKER),
        ("@ann", MARKER),
    ],
)
def test_what_names_the_person_goes(text: str, left: str) -> None:
    assert ANN.text(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "joann@acme.test", "ann@acme.test.evil.org", "ann@acme.testing", "x.ann@acme.test", "ann@acme.test-2",
        "@annabel", "@ann-marie", "@ann.lee", "me@ann", "@ann/package", "github.com/ann/shop", "github.com/ann-2",
        "ann said so", "Ann Leeson", "Joann Lee", "Ann Lee-Miller", "Mary-Ann Lee", "Ann O'Lee", f"b{USER}", "",
    ],
)  # fmt: skip
def test_what_only_looks_like_the_person_stays(text: str) -> None:
    assert ANN.text(text) == text


def test_what_the_person_wrote_goes_and_what_others_wrote_stays() -> None:
    issue = {
        "number": 7, "title": "Door", "body": "my door", "author": "ann", "labels": ["bug"],
        "created_at": "2026-11-20T09:00:00Z", "assignees": ["bob", "ann"],
        "comments": [{"author": "bob", "body": "mine too"}, {"author": "ANN", "body": "thanks"}],
    }  # fmt: skip
    assert ANN.document(issue) == {
        "number": 7, "title": MARKER, "body": MARKER, "author": MARKER, "labels": ["bug"],
        "created_at": "2026-11-20T09:00:00Z", "assignees": ["bob", MARKER],
        "comments": [{"author": "bob", "body": "mine too"}, {"author": MARKER, "body": MARKER}],
    }  # fmt: skip


def test_in_what_came_from_the_person_only_prose_goes() -> None:
    result = {"status": "done", "summary": "her door", "seconds": 1.5, "result_id": USER[:-1] + "b", "missing": ["x"]}
    assert ANN.document(result, is_theirs=True) == {**result, "summary": MARKER, "missing": [MARKER]}


def test_names_of_fields_are_searched_and_no_field_is_lost() -> None:
    assert ANN.document({"ann": 1, "ann@acme.test": 2, "bob": 3}) == {MARKER: 1, MARKER + "'": 2, "bob": 3}


def test_bytes_go_where_the_person_wrote_them_or_they_cannot_be_taken_apart() -> None:
    assert ANN.raw(b'{"author": "ann", "body": "x"}') is None
    assert ANN.raw(b'{"user": {"login": "ann"}, "body": "x"}') is None
    assert ANN.raw(b"7;ann;my door") is None
    assert ANN.raw(b'{"broken", "\\u0061nn@acme.test"') is None
    kept = ANN.raw(b'{"author": "bob", "body": "ask @ann"}')
    assert json.loads(kept or b"") == {"author": "bob", "body": f"ask {MARKER}"}
    for other in (b'{"author": "bob"}', b"7;annabel;door", b"\xff\xfe"):
        assert ANN.raw(other) == other


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["ann", "@ann", "ann@acme.test", "Ann Lee"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["author", "body", "ann"]), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_redacting_twice_is_redacting_once_and_what_is_noticed_is_what_changes(value: Any, is_theirs: bool) -> None:
    noticed: list[str] = []
    once = ANN.document(value, is_theirs=is_theirs, noticed=lambda _, text: noticed.append(text))
    assert bool(noticed) == (once != value)
    again: list[str] = []
    # Whose an object is stands in its author, which is gone now; what else goes does so at the first time.
    assert ANN.document(once, noticed=lambda _, text: again.append(text)) == once
    assert not again


@given(st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip()))
def test_the_patterns_for_the_database_miss_nothing(name: str) -> None:
    try:
        redaction = Redaction([Identifier.of("name", name)])
    except InvalidInputError:
        return
    text = f"so says {name}!"
    if redaction.text(text) != text:
        assert any(_is_like(text, pattern) or _is_like(json.dumps(text, ensure_ascii=False), pattern)
                   for pattern in redaction.patterns)  # fmt: skip


def _is_like(text: str, pattern: str) -> bool:
    """Do what PostgreSQL does with ILIKE, where it knows cases of ASCII only."""
    parts: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if letter == "\\":
            parts.append(re.escape(next(letters)))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter, re.escape(letter)))
    return re.fullmatch("".join(parts), text, re.IGNORECASE | re.DOTALL | re.ASCII) is not None


@pytest.mark.parametrize(
    "reference",
    ["", "ann", "phone:1", "email:ann", "login:a b", "user:7", "name:An", "email:a@b\0", "name:" + "x" * 400],
)
def test_what_names_nobody_is_refused(reference: str) -> None:
    with pytest.raises(InvalidInputError):
        Identifier.parse(reference)
