"""``bailiwick vault`` on a database of the test's own, with a key file."""

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from bailiwick.main import main
from tests.support.vaults import OTHER_MASTER_KEY

Command = Callable[..., Any]


@pytest.fixture
def master_key_file(tmp_path: Path) -> Path:
    file = tmp_path / "master.key"
    file.write_text(base64.b64encode(os.urandom(32)).decode())
    file.chmod(0o600)
    return file


@pytest.fixture
def run(
    login_url: str, master_key_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run a command that must succeed and return its JSON document."""
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", login_url)
    monkeypatch.setenv("BAILIWICK_MASTER_KEY_FILE", str(master_key_file))

    def ran(*arguments: str, typed: str = "", code: int = 0) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capfd.readouterr()
        assert main([*arguments, "--json"]) == code
        streams = capfd.readouterr()
        return orjson.loads(streams.out) if code == 0 else streams.err

    return ran


@pytest.fixture
def connected(run: Command) -> None:
    run("connect", "github", "acme/shop", "--token", "-", typed="ghp_theFirstToken\n")


@pytest.mark.usefixtures("connected")
def test_status_shows_which_master_key_wraps_what(run: Command, master_key_file: Path) -> None:
    shown = run("vault", "status")
    assert shown["at_hand"] == [shown["master_key"]]
    states = {row["organization"]: row["state"] for row in shown["data_keys"]}
    assert states["home"] == "in use"
    master_key_file.write_text(OTHER_MASTER_KEY)
    states = {row["organization"]: row["state"] for row in run("vault", "status")["data_keys"]}
    assert states["home"] == "master key missing here"


@pytest.mark.usefixtures("connected")
def test_rotating_a_key_file_keeps_everything_open_and_the_old_key_beside_it(
    run: Command, master_key_file: Path
) -> None:
    before = master_key_file.read_text()
    rotated = run("vault", "rotate", "--master")
    assert rotated["rewrapped"] >= 1
    assert master_key_file.read_text() != before
    assert master_key_file.with_name("master.key.old").read_text() == before
    assert {row["state"] for row in run("vault", "status")["data_keys"]} == {"in use"}
    # The connection still opens: adding a secret reads what is there.
    stored = run("connect", "credentials", "acme/shop", "--secret", "-", typed="a-webhook-secret-7\n")
    assert stored["configuration"]["sealed"] == ["token", "webhook_secret"]


@pytest.mark.usefixtures("connected")
def test_rotating_to_a_key_from_the_environment_and_starting_with_it(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_NEW_KEY", OTHER_MASTER_KEY)
    run("vault", "rotate", "--master", "--to-env", "THE_NEW_KEY")
    refused = run("connect", "credentials", "acme/shop", "--secret", "-", typed="a-webhook-secret-7\n", code=75)
    assert "after a rotation start this process with the new one" in " ".join(refused.split())
    monkeypatch.delenv("BAILIWICK_MASTER_KEY_FILE")
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", OTHER_MASTER_KEY)
    run("connect", "credentials", "acme/shop", "--secret", "-", typed="a-webhook-secret-7\n")


@pytest.mark.usefixtures("connected")
def test_new_data_keys_seal_what_is_stored(run: Command) -> None:
    reports = {(one["table"], one["column"]): one for one in run("vault", "rotate", "--data")}
    assert reports["connections", "credentials"]["resealed"] == 1
    reports = {(one["table"], one["column"]): one for one in run("vault", "reseal")}
    assert (reports["connections", "credentials"]["resealed"], reports["connections", "credentials"]["current"]) == (
        0,
        1,
    )
    assert not any(one["broken"] for one in reports.values())
    run("connect", "credentials", "acme/shop", "--secret", "-", typed="a-webhook-secret-7\n")


@pytest.mark.usefixtures("connected")
def test_forgetting_an_organization_makes_its_credentials_unreadable_and_is_audited(
    run: Command, login_url: str
) -> None:
    assert run("vault", "forget", "--org", "home", "--yes", "--reason", "moved away")["destroyed"] >= 1
    with psycopg.connect(login_url) as connection:
        assert connection.execute("select count(wrapped) from data_keys where erased_at is not null").fetchone() == (0,)
    assert {row["state"] for row in run("vault", "status")["data_keys"] if row["organization"] == "home"} == {
        "destroyed"
    }
    with psycopg.connect(login_url) as connection:
        (entry,) = connection.execute(
            "select e::text from audit_entries e where e::text like '%vault.keys_destroyed%'"
        ).fetchall()
    assert "moved away" in entry[0]
    # What is lost can be given again.
    stored = run("connect", "credentials", "acme/shop", "--secret", "-", typed="a-webhook-secret-7\n")
    assert stored["configuration"]["sealed"] == ["webhook_secret"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rotate",), "say --master"),
        (("rotate", "--master", "--data"), "say --master"),
        (("rotate", "--master", "--org", "home"), "leave out --org"),
        (("rotate", "--master", "--to-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE is not set"),
        (("rotate", "--master", "--to-env", "A", "--to-command", "b"), "name one new master key"),
        (("rotate", "--master", "--to-file", "/no/such/file"), "there is no master key in /no/such/file"),
    ],
)
def test_wrong_use_says_what_to_write(run: Command, arguments: tuple[str, ...], said: str) -> None:
    assert said in run("vault", *arguments, code=2)
