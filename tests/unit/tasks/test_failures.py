"""What is kept of a failure can be stored and shows no values."""

from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import CannotDetermineError
from bailiwick.tasks.failures import error_record


def failure(error: Exception) -> Exception:
    secret = "hunter2"
    try:
        raise error
    except type(error) as raised:
        del secret
        return raised


def test_a_failure_says_what_and_where_but_no_values() -> None:
    record = error_record(failure(ValueError("no such ledger")), 3)
    assert record["attempt"] == 3
    assert record["error"] == "ValueError"
    assert record["message"] == "no such ledger"
    assert str(record["where"]).startswith("test_failures.py:")
    assert "hunter2" not in str(record)


def test_our_own_errors_keep_their_code() -> None:
    assert error_record(failure(CannotDetermineError("the price")), 1)["error"] == CannotDetermineError.code


def test_a_message_that_no_database_could_hold_is_still_kept() -> None:
    record = error_record(failure(ValueError("bad \0 byte and \udc80 surrogate")), 1)
    assert encode(record)
    assert record["message"] == "bad \N{SYMBOL FOR NULL} byte and \\udc80 surrogate"


def test_a_message_is_kept_to_a_length() -> None:
    assert len(str(error_record(failure(ValueError("x" * 10_000)), 1)["message"])) == 2000


def test_an_error_without_words_is_named() -> None:
    assert error_record(failure(KeyError()), 1)["message"] == "KeyError"
