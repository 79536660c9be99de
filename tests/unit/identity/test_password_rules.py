"""Which passwords are refused, with which reason."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.identity.login.breached_passwords import BreachedPasswords
from bailiwick.identity.login.password_rules import (
    MAX_BYTES,
    MIN_CHARACTERS,
    PasswordRefusedError,
    PasswordRules,
    normal_password,
)
from bailiwick.kernel.errors import CannotDetermineError

GOOD = "vexed otter prints maps"


def _check(password: str, rules: PasswordRules | None = None) -> None:
    (rules or PasswordRules()).check(password, email="maria.lopez@example.org", name="Maria López")


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "tIvgi3-kugfa-93xx",
        "correct horse battery staple",
        "łąka źrebię ćma 7 ogień",
        "人山人海马到成功画蛇添足守株待兔",
    ],
)
def test_long_and_unguessable_passwords_are_accepted_whatever_they_are_made_of(password):
    _check(password)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short but ok?!"[: MIN_CHARACTERS - 1], "needs at least 15"),
        ("passwordpassword", "it repeats itself"),
        ("aaaaaaaaaaaaaaaaaaaaaa", "it repeats itself"),
        ("qwertyuiopasdfgh", "many people use"),
        ("abcdefghijklmnopqrst", "it follows"),
        ("maria walks a long way", "'maria' from your name"),
        ("LOPEZ walks a long way", "from your name"),
        ("the example of a long one", "'example' from your name"),
        ("my bailiwick login phrase", "name of this product"),
    ],
)
def test_others_are_refused_with_the_reason(password, reason):
    with pytest.raises(PasswordRefusedError) as refused:
        _check(password)
    assert reason in str(refused.value)
    assert password not in str(refused.value)


def test_the_message_says_what_to_do_instead():
    with pytest.raises(PasswordRefusedError, match="password manager"):
        _check("x")


def test_a_password_beyond_a_thousand_bytes_is_refused_before_any_work():
    normal_password("é" * (MAX_BYTES // 2))
    for password in ("é" * (MAX_BYTES // 2 + 1), "x" * (MAX_BYTES + 1), "ﷺ" * 60):
        with pytest.raises(PasswordRefusedError, match="longer than 1000 bytes"):
            normal_password(password)


def test_what_is_no_text_is_refused():
    with pytest.raises(PasswordRefusedError, match="not valid Unicode"):
        normal_password("\ud800" * 20)


def test_every_way_of_typing_the_same_letters_is_the_same_password():
    assert normal_password("cafe\u0301") == normal_password("café")


def _sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def _file(folder: Path, passwords: dict[str, int], *, newline: str = "\r\n") -> Path:
    lines = sorted(f"{_sha1(password)}:{count}" for password, count in passwords.items())
    file = folder / "pwned.txt"
    file.write_bytes("".join(line + newline for line in lines).encode())
    return file


def test_a_breached_password_is_refused_with_how_often_it_was_seen(tmp_path):
    rules = PasswordRules(_file(tmp_path, {GOOD: 1234, "other": 2}))
    with pytest.raises(PasswordRefusedError, match="1,234 times"):
        _check(GOOD, rules)
    _check(GOOD + "!", rules)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    known=st.dictionaries(st.text("abcdef0123", max_size=12), st.integers(1, 10**9), max_size=60),
    asked=st.text("abcdef0123", max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_the_file_answers_for_every_password_in_it_and_no_other(tmp_path, known, asked, newline):
    breached = BreachedPasswords(_file(tmp_path, known, newline=newline))
    for password, count in known.items():
        assert breached.count(password) == count
    assert breached.count(asked) == known.get(asked, 0)


def test_a_missing_or_foreign_file_is_said_and_lets_nothing_pass(tmp_path):
    with pytest.raises(CannotDetermineError, match="No such file"):
        _check(GOOD, PasswordRules(tmp_path / "nowhere.txt"))
    (tmp_path / "foreign.txt").write_text("password\n123456\n")
    with pytest.raises(CannotDetermineError, match="SHA1:COUNT"):
        _check(GOOD, PasswordRules(tmp_path / "foreign.txt"))
