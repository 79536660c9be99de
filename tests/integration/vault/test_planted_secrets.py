"""Secrets are planted through the real doors, repeated wherever somebody could, and then searched for everywhere."""

import base64
import hashlib
import hmac
import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
import pytest
import structlog
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from bailiwick.api import create_app
from bailiwick.audit import SYSTEM
from bailiwick.connectors.facts import opened
from bailiwick.connectors.issues import IssueRecord
from bailiwick.events import NewEvent
from bailiwick.extensions import Registrar
from bailiwick.identity import Organization
from bailiwick.installation import Installation, Settings
from bailiwick.installation.sealed_columns import SEALED_COLUMNS
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.main import main
from bailiwick.privacy.identifiers import Identifier
from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.tasks import DiscardTask, NewTask, Run, TaskKind
from bailiwick.telemetry.logs import configure_logs
from bailiwick.telemetry.redacting import for_prompt
from bailiwick.vault.rotation import Rotation
from tests.support.api import Note, NotesExtension, client_of
from tests.support.engine import until
from tests.support.vaults import MASTER_KEY, dumped

TOKEN = "connection-token-7d1f0c52"
SECRET = "webhook-secret-a90b3c44"
PASSWORD = "a user's Passw0rd 5e1d77"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, down to debug."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    configure_logs("debug", stream=written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@dataclass
class Planted:
    """What was planted, and where it may not be found."""

    installation: Installation
    acme: Organization
    connection_id: str
    key: str
    secrets: dict[str, str]

    @property
    def text(self) -> str:
        """All that a careless program could repeat; a person's password is known to nobody afterwards."""
        return " | ".join(secret for name, secret in self.secrets.items() if name != "user's password")


async def planted(installation: Installation, login_url: str) -> Planted:
    """Give the installation a secret of every kind, as people do."""
    acme = await installation.organizations.create("Acme")
    connection = await installation.connections.add(
        acme.id, "github", "acme/shop", {}, credentials={"token": TOKEN, "webhook_secret": SECRET}
    )
    key = await installation.keys.issue("acme", organization_id=acme.id)
    user = await installation.passwords.create_user("ada@example.org", "Ada", PASSWORD, actor=SYSTEM)
    enrolment = await installation.ways_in.totp.enrol(user.id, user.email)
    tokens = await installation.sessions.begin(user.id, methods=["pwd"], address=None, user_agent=None)
    secrets = {
        "connection token": TOKEN,
        "webhook secret": SECRET,
        "master key": MASTER_KEY,
        "database password": str(conninfo_to_dict(login_url)["password"]),
        "API key": key,
        "one-time password secret": enrolment.secret,
        "access token": tokens.access,
        "refresh token": tokens.refresh,
        "user's password": PASSWORD,
    }
    return Planted(installation, acme, connection.id, key, secrets)


def assert_none_in(place: str, text: str, secrets: dict[str, str]) -> None:
    found = [name for name, secret in secrets.items() if secret in text or orjson.dumps(secret).decode()[1:-1] in text]
    assert not found, f"{place} holds: {', '.join(found)}"


async def repeat_over_the_api(plant: Planted) -> str:
    """Send every secret back in whatever a client may send; return all answers as one text."""
    answers: list[str] = []
    async with client_of(create_app(plant.installation), plant.key) as client:
        for method, path, body in (
            ("GET", f"/api/v1/tasks/{plant.text[:300]}", None),
            ("GET", f"/api/v1/tasks?limit={plant.text[:300]}", None),
            ("POST", "/api/v1/events", {"type": plant.text[:300], "payload": {}}),
            ("POST", "/api/v1/tasks", {"kind": plant.text[:300], "payload": {}}),
            ("POST", "/api/v1/tasks", {"kind": "note.keep", "payload": {"number": plant.text}}),
            ("GET", "/api/v1/openapi.json", None),
            ("GET", "/api/v1/keys", None),
            ("GET", "/api/v1/events", None),
        ):
            answers.append((await client.request(method, path, json=body)).text)
        for signature in ("sha256=" + "0" * 64, plant.secrets["webhook secret"]):
            path = f"/api/v1/webhooks/github/{plant.connection_id}"
            answers.append((await client.post(path, content=b"{}", headers={"x-hub-signature-256": signature})).text)
        body = orjson.dumps({"zen": TOKEN})
        signed = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": signed, "x-github-event": "ping", "x-github-delivery": "72d3162e-cc78-11e3",
                   "content-type": "application/json"}  # fmt: skip
        accepted = await client.post(path, content=body, headers=headers)
        assert accepted.status_code == 200
        wrong = ("bw_" + "x" * 43, plant.secrets["refresh token"], plant.secrets["access token"] + "x")
        refused = [await client.get("/api/v1/tasks", headers={"authorization": f"Bearer {one}"}) for one in wrong]
    assert [answer.status_code for answer in refused] == [401, 401, 401]
    return "\n".join([*answers, *(answer.text for answer in refused)])


async def repeat_in_the_engine(plant: Planted) -> list[str]:
    """Let events, tasks, steps, results and errors hold every secret; return what the engine then shows."""
    installation, acme = plant.installation, plant.acme
    await installation.events.publish(acme.id, [NewEvent("note.written", {"text": plant.text, "number": 7})])
    async with installation.run_worker():
        tasks = [
            await installation.queue.enqueue(acme.id, NewTask(kind, {"text": plant.text}))
            for kind in ("note.keep", "note.refuse")
        ]

        async def ended() -> bool:
            found = [await installation.tasks.get(acme.id, task.task_id) for task in tasks]
            return all(one.state in ("completed", "discarded") for one in found)

        await until(ended, "both tasks ended")
    return [str(await installation.tasks.get(acme.id, task.task_id)) for task in tasks]


class SpillingExtension:
    """Tasks that make secrets themselves, as a careless handler does."""

    name = "spilling"
    version = "1"
    migrations: Path | None = None

    def register(self, registrar: Registrar) -> None:
        async def give(run: Run, note: Note) -> object:
            seen = await run.step("fetch", lambda: f"the token is {TOKEN}")
            listed = await run.step("list", lambda: [TOKEN, SECRET])
            return {"seen": seen, "listed": listed, "again": f"{TOKEN}{SECRET}"}

        async def fail(run: Run, note: Note) -> object:
            raise DiscardTask(f"GitHub refused {TOKEN}")

        registrar.task_kind(TaskKind("spill.give", give, Note))
        registrar.task_kind(TaskKind("spill.fail", fail, Note))


async def test_a_handler_sees_what_its_journal_keeps_and_its_error_holds_no_secret(login_url: str) -> None:
    settings = Settings(database_url=SecretStr(login_url), master_key=SecretStr(MASTER_KEY), rate_limits=False)
    async with Installation.open(settings, extra=[SpillingExtension()]) as installation:
        acme = await installation.organizations.create("Acme")
        await installation.connections.add(
            acme.id, "github", "acme/shop", {}, credentials={"token": TOKEN, "webhook_secret": SECRET}
        )
        async with installation.run_worker():
            given = (await installation.queue.enqueue(acme.id, NewTask("spill.give", {}))).task_id
            failed = (await installation.queue.enqueue(acme.id, NewTask("spill.fail", {}))).task_id

            async def ended() -> bool:
                found = [await installation.tasks.get(acme.id, one) for one in (given, failed)]
                return [one.state for one in found] == ["completed", "discarded"]

            await until(ended, "both tasks ended")
        kept = await installation.tasks.get(acme.id, given)
        # After a crash it would go on with these, so it had them the first time as well.
        assert kept.result == {"seen": "the token is ***", "listed": ["***", "***"], "again": "******"}
        assert (await installation.tasks.get(acme.id, failed)).reason == "GitHub refused ***"
    assert_none_in("a row of the database", dumped(login_url), {"token": TOKEN, "secret": SECRET})


async def test_a_token_that_somebody_leaks_in_an_issue_is_stored_nowhere_and_still_reported(login_url: str) -> None:
    leaked = "ghp_" + "aB3dE6gH9k" * 3 + "aB3dE6"
    settings = Settings(database_url=SecretStr(login_url), master_key=SecretStr(MASTER_KEY), rate_limits=False)
    async with Installation.open(settings) as installation:
        acme = await installation.create_organization("Acme")
        issue = IssueRecord(
            source="github", repository="acme/shop", number=1, title="Security: token leaked in the log",
            body=f"Our log shows the token {leaked}; please look.", state="open",
            created_at=datetime.now(UTC), updated_at=datetime.now(UTC), labels=("security",),
        )  # fmt: skip
        async with installation.run_worker():
            await installation.events.publish(acme.id, [opened(issue)])

            async def handled() -> bool:
                return "GitHub token" in dumped(login_url)

            await until(handled, "the security agent reported the token", seconds=60, every_seconds=0.5)
    assert leaked not in dumped(login_url)
    assert "ghp_***" in dumped(login_url)


def log_all(plant: Planted) -> None:
    log = structlog.get_logger("bailiwick.test")
    log.info("plain", text=plant.text, nested={"a": [plant.text]}, url=f"https://x.example/?token={plant.text}")
    logging.getLogger("some.library").debug("sent %s", plant.text)
    try:
        raise RuntimeError(plant.text)
    except RuntimeError:
        log.exception("failed")


async def test_no_secret_is_in_logs_rows_answers_or_prompts(login_url: str, log: io.StringIO) -> None:
    settings = Settings(database_url=SecretStr(login_url), master_key=SecretStr(MASTER_KEY), rate_limits=False,
                        password_memory_mib=12)  # fmt: skip
    async with Installation.open(settings, extra=[NotesExtension()]) as installation:
        plant = await planted(installation, login_url)
        answers = await repeat_over_the_api(plant)
        shown = await repeat_in_the_engine(plant)
        log_all(plant)
        connection = await installation.connections.get(plant.acme.id, plant.connection_id)
        assert (await installation.connections.credentials.open(connection))["token"] == TOKEN
    assert_none_in("an answer of the API", answers, plant.secrets)
    assert_none_in("the log", log.getvalue(), plant.secrets)
    assert_none_in("a task", "\n".join(shown), plant.secrets)
    assert_none_in("a prompt", for_prompt(f"Explain: {plant.text}"), plant.secrets)
    rows = dumped(login_url)
    assert_none_in("a row of the database", rows, plant.secrets)
    assert base64.b64decode(MASTER_KEY).decode("latin-1") not in rows
    # The search does find what is there.
    assert "acme/shop" in rows
    assert "note.refuse" in rows
    assert "***" in rows


def test_no_secret_is_in_what_commands_print(
    login_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", login_url)
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", MASTER_KEY)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n{SECRET}\n"))
    assert main(["connect", "github", "acme/shop", "--token", "-", "--secret", "-"]) == 0
    key = "bw_" + "planted" * 6
    secrets = {
        "token": TOKEN,
        "secret": SECRET,
        "master key": MASTER_KEY,
        "API key": key,
        "password": "hunter2-hunter2",
    }
    for arguments in (
        ["connect", "list"],
        ["connect", "list", "--json"],
        ["connect", "pause", TOKEN],
        ["tasks", "show", f"{TOKEN} {SECRET} {MASTER_KEY} {key}"],
        ["submit", "note", "--payload", f'{{"a": "{TOKEN} {key}"}}'],
        ["keys", "revoke", key],
        ["vault", "status", "--json"],
        ["doctor"],
        ["--debug", "connect", "pause", TOKEN],
    ):
        main(arguments)
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", "postgresql://ada:hunter2-hunter2@127.0.0.1:1/x")
    main(["orgs", "list"])
    monkeypatch.setenv("BAILIWICK_MASTER_KEY", f"{SECRET}-as-a-key")
    main(["orgs", "list"])
    streams = capfd.readouterr()
    assert "127.0.0.1" in streams.err
    assert_none_in("what a command printed", streams.out + streams.err, secrets)


def test_no_secret_is_in_the_data_folder_or_the_servers_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master key is in its own file and nowhere else, so a copy of the rest is of no use to a thief."""
    monkeypatch.setenv("BAILIWICK_DATA_DIR", str(data_dir))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n{SECRET}\n"))
    monkeypatch.setenv("A_VARIABLE_OF_THE_CALLER", TOKEN)
    server = EmbeddedServer(data_dir)
    server.start()
    try:
        assert main(["connect", "github", "acme/shop", "--token", "-", "--secret", "-"]) == 0
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute("checkpoint")
            (backend,) = admin.execute("select pg_backend_pid()").fetchone() or (0,)
        environment = Path(f"/proc/{os.getpid()}/environ")
        if environment.exists():
            children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
            for pid in {pid for file in children for pid in file.read_text().split()}:
                inherited = Path(f"/proc/{pid}/environ").read_bytes()
                assert TOKEN.encode() not in inherited
        assert backend
    finally:
        server.stop()
    master_key = (data_dir / "master.key").read_bytes().strip()
    canaries = (TOKEN.encode(), SECRET.encode(), master_key, base64.b64decode(master_key))
    files = [path for path in data_dir.rglob("*") if path.is_file() and path.name != "master.key"]
    assert len(files) > 100
    for path in files:
        content = path.read_bytes()
        assert not any(canary in content for canary in canaries), path


async def test_every_named_sensitive_field_is_sealed_anew_by_a_rotation_and_still_opens(login_url: str) -> None:
    settings = Settings(database_url=SecretStr(login_url), master_key=SecretStr(MASTER_KEY), rate_limits=False,
                        password_memory_mib=12)  # fmt: skip
    async with Installation.open(settings) as installation:
        plant = await planted(installation, login_url)
        ada = Identifier.of("email", "ada@example.org")
        subject = await installation.privacy.subjects.register(plant.acme.id, [ada], actor=SYSTEM)
        rotation = Rotation(installation.database, installation.vault, SEALED_COLUMNS, lambda _: None)
        organizations = [INSTALLATION, plant.acme.id]
        # Of the organization, of Ada in it, of the platform, of Ada as a user.
        assert await rotation.add_versions(organizations) == 4
        reports = await rotation.reseal(organizations)
        assert {(one.table, one.resealed) for one in reports if one.resealed} == {
            ("connections", 1), ("subject_hash_keys", 1), ("subject_identifiers", 1), ("totp_secrets", 1),
            ("signing_keys", 1),
        }  # fmt: skip
        assert not any(one.broken or one.erased or one.current for one in reports)
        connection = await installation.connections.get(plant.acme.id, plant.connection_id)
        assert (await installation.connections.credentials.open(connection))["token"] == TOKEN
        assert await installation.privacy.subjects.identifiers(plant.acme.id, subject.id) == [ada]
