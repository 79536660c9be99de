"""The tokens and secrets of connections: given unseen, sealed, opened at use."""

import io
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bailiwick.audit import Actor
from bailiwick.connectors.connections import ConnectionRecord
from bailiwick.connectors.errors import SecretMissingError
from bailiwick.connectors.github.connection import GitHubConnection
from bailiwick.installation import Installation, Settings
from bailiwick.main import main
from tests.support.vaults import MASTER_KEY, OTHER_MASTER_KEY, dumped

TOKEN = "ghp_sealedTokenOfTheTests"
SECRET = "webhook-secret-of-the-tests"
ACTOR = Actor("system", "test", "a test")


@pytest.fixture
def settings(login_url: str) -> Settings:
    return Settings(database_url=SecretStr(login_url), master_key=SecretStr(MASTER_KEY))


@pytest.fixture
async def installation(settings: Settings) -> AsyncIterator[Installation]:
    async with Installation.open(settings) as opened:
        yield opened


async def connected(installation: Installation) -> ConnectionRecord:
    home = await installation.home()
    return await installation.connections.add(
        home.id, "github", "acme/shop", {}, credentials={"token": TOKEN, "webhook_secret": SECRET}
    )


async def test_credentials_are_opened_at_use_and_stand_nowhere_in_the_database(
    installation: Installation, login_url: str
) -> None:
    made = await connected(installation)
    assert made.configuration == {"sealed": ["token", "webhook_secret"]}
    opened = await installation.connections.credentials.open(made)
    settings = GitHubConnection.of(made.configuration)
    assert (settings.token(opened), settings.secret(opened)) == (TOKEN, SECRET)
    written = dumped(login_url)
    assert TOKEN not in written
    assert SECRET not in written


async def test_another_connection_cannot_use_credentials_copied_to_it(installation: Installation) -> None:
    first = await connected(installation)
    second = await installation.connections.add(
        first.organization_id, "github", "acme/mine", {}, credentials={"token": "mine-all-mine"}
    )
    await installation.database.execute(
        "update connections set credentials = (select credentials from connections where id = %s) where id = %s",
        (first.id, second.id),
        organization_id=first.organization_id,
    )
    with pytest.raises(SecretMissingError, match="cannot be opened"):
        await installation.connections.credentials.open(second)


async def test_replacing_one_keeps_the_other_and_is_audited(installation: Installation) -> None:
    made = await connected(installation)
    await installation.connections.credentials.replace(made, {"token": "ghp_replaced"}, actor=ACTOR)
    again = await installation.connections.get(made.organization_id, made.id)
    assert await installation.connections.credentials.open(again) == {"token": "ghp_replaced", "webhook_secret": SECRET}
    rows = await installation.database.fetch_all(
        "select e::text as content from audit_entries e order by seq desc limit 1", organization_id=made.organization_id
    )
    assert "connection.credentials_replaced" in rows[0]["content"]
    assert "ghp_replaced" not in rows[0]["content"]


async def test_with_another_master_key_the_connection_says_what_is_missing(
    installation: Installation, login_url: str
) -> None:
    made = await connected(installation)
    other = Settings(database_url=SecretStr(login_url), master_key=SecretStr(OTHER_MASTER_KEY))
    async with Installation.open(other) as elsewhere:
        with pytest.raises(SecretMissingError, match="needs master key"):
            await elsewhere.connections.credentials.open(made)


@pytest.fixture
def command(login_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", login_url)
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", MASTER_KEY)


@pytest.mark.usefixtures("command")
def test_the_command_takes_them_from_standard_input_and_prints_none(
    login_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n{SECRET}\n"))
    assert main(["connect", "github", "acme/shop", "--token", "-", "--secret", "-", "--json"]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("ghp_anotherTokenOfTheTests\n"))
    assert main(["connect", "credentials", "acme/shop", "--token", "-"]) == 0
    assert main(["connect", "list", "--json"]) == 0
    streams = capfd.readouterr()
    for secret in (TOKEN, SECRET, "ghp_anotherTokenOfTheTests"):
        assert secret not in streams.out + streams.err
        assert secret not in dumped(login_url)


@pytest.mark.usefixtures("command")
def test_a_token_on_the_command_line_is_refused_and_not_repeated(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "github", "acme/shop", "--token", TOKEN]) == 2
    streams = capfd.readouterr()
    assert "a token on the command line" in streams.err
    assert TOKEN not in streams.out + streams.err


@pytest.mark.usefixtures("command")
def test_without_a_master_key_nothing_is_connected_and_the_error_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BAILIWICK_MASTER_KEY")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    assert main(["connect", "github", "acme/shop", "--token", "-"]) == 75
    assert "set BAILIWICK_MASTER_KEY" in capfd.readouterr().err
    assert main(["connect", "list", "--json"]) == 0
    assert '"items": []' in capfd.readouterr().out
