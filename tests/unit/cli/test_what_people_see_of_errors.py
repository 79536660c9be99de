import errno

import pytest

from bailiwick.cli import submit
from bailiwick.kernel.documents import MAX_PAYLOAD_BYTES
from bailiwick.kernel.errors import DatabaseUnavailableError, NotFoundError
from bailiwick.main import main


def submit_with(payload: str) -> int:
    return main(["submit", "issue.handle", "--payload", payload])


@pytest.mark.parametrize(
    ("payload", "code", "told"),
    [
        ("{", 2, "not valid JSON"),
        ("[1]", 2, "must be a JSON object"),
        ("@/nowhere/at/all.json", 1, "no file /nowhere/at/all.json"),
        ('{"text": "' + "x" * (2 * MAX_PAYLOAD_BYTES) + '"}', 2, f"{MAX_PAYLOAD_BYTES:,}"),
    ],
)
def test_a_bad_payload_is_refused_before_the_database_is_opened(payload, code, told, capsys):
    assert submit_with(payload) == code

    streams = capsys.readouterr()
    assert told in streams.err
    assert not streams.out


def test_a_payload_that_is_not_utf8_says_where(tmp_path, capsys):
    file = tmp_path / "latin.json"
    file.write_bytes(b'{"text": "caf\xe9"}')

    assert submit_with(f"@{file}") == 2
    assert "not UTF-8 (byte 14)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (NotFoundError("no task 7 in this organization"), 1, "no task 7"),
        (DatabaseUnavailableError("no answer from postgresql://u:hunter2@db/x"), 75, "u:***@db"),
        (OSError(errno.ENOSPC, "No space left on device"), 75, "the disk is full"),
        (ExceptionGroup("several", [NotFoundError("no agent 'x'")]), 1, "no agent 'x'"),
        (ZeroDivisionError("division by zero"), 70, "defect of Bailiwick"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_becomes_a_paragraph_and_an_exit_code(error, code, told, capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(submit, "with_organization", fail)

    assert submit_with("{}") == code

    streams = capsys.readouterr()
    assert told in streams.err
    assert "Traceback" not in streams.err
    assert "hunter2" not in streams.err
    assert not streams.out


def test_an_argument_that_is_not_utf8_is_the_callers_mistake(capsys, monkeypatch):
    def encode(*_: object) -> None:
        "\udcff".encode()

    monkeypatch.setattr(submit, "with_organization", encode)

    assert main(["submit", "issue.handle", "--payload", "{}", "--key", "\udcff\udcfe"]) == 2
    assert "is not UTF-8; write it in UTF-8" in capsys.readouterr().err


def test_debug_shows_the_traceback_wherever_it_stands(capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(submit, "with_organization", fail)

    assert main(["submit", "issue.handle", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_setting_without_a_usable_value_is_named(monkeypatch, capsys):
    monkeypatch.setenv("BAILIWICK_PORT", "eighty")

    assert main(["doctor"]) == 2
    assert "BAILIWICK_PORT" in capsys.readouterr().err


def test_bulk_changes_need_ids_or_filters_and_not_both(capsys):
    assert main(["tasks", "cancel"]) == 2
    assert main(["tasks", "cancel", "some-id", "--state", "available"]) == 2
    assert "one of the two" in capsys.readouterr().err


def test_an_unknown_state_names_the_known_ones(capsys):
    assert main(["tasks", "list", "--state", "sleeping"]) == 2
    assert "discarded" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told_before_the_database_is_opened(capsys):
    assert main(["import", "github", "/nowhere/issues.json"]) == 1
    assert "/nowhere/issues.json" in capsys.readouterr().err


def test_a_repository_is_written_as_owner_and_name(capsys):
    assert main(["connect", "github", "https://github.com/acme/shop"]) == 2
    assert "OWNER/REPO" in capsys.readouterr().err


def test_a_key_is_for_one_organization_or_for_everything(capsys):
    assert main(["keys", "create", "mine"]) == 2
    assert "--admin" in capsys.readouterr().err


def test_what_an_outsider_wrote_does_nothing_to_the_terminal_within_an_error(capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise NotFoundError("the forge said: \x1b]0;pwn\x07\x9b2J\u202egone")

    monkeypatch.setattr(submit, "with_organization", fail)

    assert submit_with("{}") == 1
    assert capsys.readouterr().err == "Error: the forge said: ]0;pwn2Jgone\n"
