"""Email addresses: one mailbox, one account."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.identity.people.accounts import checked_name, normal_email
from bailiwick.kernel.errors import InvalidInputError


@given(st.emails())
def test_an_address_is_normal_once_and_for_all(email):
    try:
        normal = normal_email(email)
    except InvalidInputError:
        return
    assert normal_email(normal) == normal
    assert normal_email(normal.upper()) == normal
    assert normal == normal.lower()
    assert normal.isascii()


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_refused(text):
    try:
        normal = normal_email(text)
    except InvalidInputError:
        return
    assert normal.count("@") >= 1
    assert 3 <= len(normal) <= 254


def test_letters_from_elsewhere_do_not_become_anybodys_address():
    # U+212A, the Kelvin sign, is k in lower case; U+FF4B is k by compatibility.
    for text in ("\u212aim@example.org", "\uff4bim@example.org", "kim@\u212aeys.org", "straße@example.org"):
        with pytest.raises(InvalidInputError, match="ASCII"):
            normal_email(text)


@pytest.mark.parametrize(
    "text", ["", "@", "maria", "maria@", "@example.org", "a b@example.org", "a@b@c", "a@.org", "a@-x.org", "a\n@b.org",
             "maria@example.org\n.evil.org", "a@127.0.0.1", "a" * 250 + "@b.org"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInputError):
        normal_email(text)


def test_common_addresses_are_accepted():
    for text in ("maria@example.org", "m.o'neil+ops@mail.example.co.uk", "root@localhost", "a@xn--bcher-kva.example"):
        assert normal_email(f" {text} ") == text


@pytest.mark.parametrize("text", ["", "   ", "a" * 201, "Ada\x1b[31m", "Ada\u202eevil", "Ada\n"[:4] + "x"])
def test_a_name_is_printable_and_of_some_length(text):
    with pytest.raises(InvalidInputError):
        checked_name(text)
