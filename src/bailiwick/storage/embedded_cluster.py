"""The database cluster inside a data folder: made once, configured at each start, its roles provided."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from bailiwick.kernel.errors import BailiwickError, DatabaseUnavailableError, DiskFullError
from bailiwick.storage.binaries import PostgresBinaries
from bailiwick.storage.embedded_account import ServerAccount
from bailiwick.storage.embedded_archive import archive_settings, quoted
from bailiwick.storage.embedded_folder import DataFolder
from bailiwick.storage.embedded_process import child_command, child_environment
from bailiwick.storage.roles import APPLICATION_ROLE

ADMIN_ROLE = "postgres"
APPLICATION_DATABASE = "bailiwick"
_CONFIGURATION_FILE = "bailiwick.conf"
_FIRST_MAJOR_WITH_BUILTIN_LOCALE = 17

# For a small machine. Durability (fsync, synchronous_commit, full_page_writes) stays at
# PostgreSQL's safe defaults on purpose. ALTER SYSTEM wins over this file.
_SETTINGS: Mapping[str, str] = {
    "autovacuum_naptime": "10s",
    "client_min_messages": "warning",
    "idle_in_transaction_session_timeout": "15s",
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "wal_compression": "off",
}


def new_passwords() -> dict[str, str]:
    """Return a random password for each of the two roles."""
    return {ADMIN_ROLE: secrets.token_urlsafe(24), APPLICATION_ROLE: secrets.token_urlsafe(24)}


def connection_url(role: str, password: str, database: str, socket_dir: Path) -> str:
    """Return the URL by which ``role`` reaches ``database`` through the socket; holds the password."""
    return (
        f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={quote(str(socket_dir), safe='')}&port=5432"
    )


def make_cluster(folder: DataFolder, account: ServerAccount, binaries: PostgresBinaries, password: str) -> None:
    """Make the cluster, wholly or not at all: UTF-8, byte-order collation, scram passwords.

    Raises:
        DatabaseUnavailableError: initdb failed; its words are in the message.
        DiskFullError: the disk is full.
    """
    for left_over in folder.root.glob(".initdb-*"):
        shutil.rmtree(left_over)
    staging = Path(tempfile.mkdtemp(prefix=".initdb-", dir=folder.root))
    cluster, password_file = staging / "cluster", staging / "password"
    try:
        account.give(staging)
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        account.give(password_file)
        _run_initdb(account, binaries, cluster, password_file)
        with (cluster / "postgresql.conf").open("a") as configuration:
            configuration.write(f"\ninclude '{_CONFIGURATION_FILE}'\n")
        write_settings(cluster, account)
        cluster.rename(folder.cluster)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_cluster(cluster: Path, binaries: PostgresBinaries) -> None:
    """Make sure that these programs can run this cluster.

    Raises:
        DatabaseUnavailableError: it is no cluster, or of another major version.
    """
    try:
        major = int((cluster / "PG_VERSION").read_text().strip())
    except (OSError, ValueError) as error:
        raise DatabaseUnavailableError(
            f"{cluster} is not a PostgreSQL data folder ({error}); restore it from a backup, "
            "or move it away to start with an empty database"
        ) from error
    if major != binaries.major:
        age = "newer" if major > binaries.major else "older"
        raise DatabaseUnavailableError(
            f"{cluster} was made by PostgreSQL {major}, {age} than the installed {binaries.major}; "
            f"install the Bailiwick release that brings PostgreSQL {major}, or upgrade the folder with pg_upgrade"
        )


def write_settings(cluster: Path, account: ServerAccount, archive: Path | None = None) -> None:
    """Write our settings into the cluster; takes effect at the next start of the server.

    ``archive`` is where its write-ahead log is kept, None for nowhere.
    """
    lines = ["# Written at every start. Use ALTER SYSTEM for settings of your own."]
    settings = {**_SETTINGS, **archive_settings(archive)}
    lines += [f"{name} = {quoted(value)}" for name, value in sorted(settings.items())]
    text = "\n".join(lines) + "\n"
    path = cluster / _CONFIGURATION_FILE
    # Left alone when it is right: a full disk must not empty it.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        account.give(path)


def server_command(binaries: PostgresBinaries, cluster: Path, socket_dir: Path) -> list[str | Path]:
    """Return the command line of the server: no TCP port, one socket."""
    return [
        *(binaries.program("postgres"), "-D", cluster, "-k", socket_dir, "-p", "5432"),
        *("-c", "listen_addresses="),
    ]


def provide_application(admin: psycopg.Connection, password: str) -> None:
    """Make the application's role, which is no superuser, and its database; harmless if both exist.

    ``admin`` must be in autocommit mode, because a database is not made inside a transaction.
    """
    role = sql.Identifier(APPLICATION_ROLE)
    if not admin.execute("select from pg_roles where rolname = %s", (APPLICATION_ROLE,)).fetchall():
        scrambled = admin.pgconn.encrypt_password(password.encode(), APPLICATION_ROLE.encode(), b"scram-sha-256")
        admin.execute(
            sql.SQL("create role {} login nosuperuser nocreatedb nocreaterole nobypassrls password {}").format(
                role, sql.Literal(scrambled.decode())
            )
        )
    if not admin.execute("select from pg_database where datname = %s", (APPLICATION_DATABASE,)).fetchall():
        database = sql.Identifier(APPLICATION_DATABASE)
        admin.execute(sql.SQL("create database {}").format(database))
        admin.execute(sql.SQL("revoke all on database {} from public").format(database))
        admin.execute(sql.SQL("grant connect on database {} to {}").format(database, role))


def start_error(log: str, data_dir: Path) -> BailiwickError:
    """Return the error that tells a person why PostgreSQL did not start, from what it logged."""
    lines = [line for line in log.strip().splitlines() if line.strip()][-6:]
    said = "\n".join(lines) or "it logged nothing"
    if "No space left on device" in log or "Check free disk space" in log:
        return DiskFullError(
            f"PostgreSQL found no space left on the disk of {data_dir}; free some and start again\n{said}"
        )
    return DatabaseUnavailableError(f"PostgreSQL did not start: {_next_step(log, data_dir)}\n{said}")


def _next_step(log: str, data_dir: Path) -> str:
    steps = (
        (("Unix-domain socket", "Unix socket"), "its socket could not be made; set TMPDIR to a short, writable folder"),
        (("incompatible with server", "initialized by PostgreSQL version"), "another version made this data folder"),
        (
            ("incorrect checksum", "checkpoint record", "invalid data in file", "PANIC", "could not read file"),
            f"the data folder {data_dir} seems damaged; keep a copy and restore a backup",
        ),
        (("could not map anonymous shared memory", "out of memory"), "the machine lacks memory; free some"),
        (("Permission denied",), f"its account lacks a right inside {data_dir}; correct the owner and mode"),
        (("no right to switch to user",), "root may not change users here; start Bailiwick as an ordinary user"),
        (("user does not exist",), "the user has no name in the system's user list; add one, or run as another user"),
    )
    for signs, step in steps:
        if any(sign in log for sign in signs):
            return step
    return f"see {data_dir / 'server.log'}"


def _run_initdb(account: ServerAccount, binaries: PostgresBinaries, target: Path, password_file: Path) -> None:
    command = [
        *(binaries.program("initdb"), "-D", target, "-U", ADMIN_ROLE, f"--pwfile={password_file}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
    ]
    if binaries.major >= _FIRST_MAJOR_WITH_BUILTIN_LOCALE:
        # Byte order for sorting, yet upper() and lower() know all of Unicode.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    finished = subprocess.run(  # noqa: S603 -- the provider's program, arguments of our own
        child_command(account, None, command),
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if finished.returncode != 0:
        raise start_error(finished.stdout.decode(errors="replace"), target.parents[1])
