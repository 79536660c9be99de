"""What was acknowledged survives the kill of the owner and of PostgreSQL; no innocent process is touched."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bailiwick.storage.embedded import EmbeddedServer
from bailiwick.storage.embedded_account import server_account
from bailiwick.storage.embedded_folder import SOCKET_NAME, DataFolder

# Runs the server, inserts row after row and names each one that was acknowledged.
_OWNER = """
import sys, psycopg
from pathlib import Path
from bailiwick.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
with psycopg.connect(server.admin_url, autocommit=True) as connection:
    connection.execute("create table if not exists acknowledged (n int primary key)")
    for n in range(1_000_000):
        connection.execute("insert into acknowledged values (%s)", (n,))
        print(n, flush=True)
"""

# Sleeps under the server's account, with nothing to do with PostgreSQL.
_INNOCENT = """
import os, sys
if int(sys.argv[1]) >= 0:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def owner_process(data_dir: Path) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", _OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True) as owner:
        try:
            yield owner
        finally:
            owner.kill()


def kill_after(owner: subprocess.Popen[str], acknowledged: int, *, pid_file: Path | None = None) -> int:
    """Kill the owner (before it PostgreSQL) once it has acknowledged that many rows; return the last number named."""
    assert owner.stdout
    named = [int(owner.stdout.readline()) for _ in range(acknowledged)]
    if pid_file:
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    owner.kill()
    named += [int(line) for line in owner.stdout if line.endswith("\n")]
    owner.wait()
    return named[-1]


def kill_server(server: EmbeddedServer) -> None:
    """Kill the server's first process and return once its end is known."""
    assert server.server_pid
    assert server._process
    os.kill(server.server_pid, signal.SIGKILL)
    server._process._child.wait(20)


def numbers(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("select n from acknowledged order by n")]


def test_a_killed_owner_loses_nothing_that_was_acknowledged(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        last = kill_after(owner, 200)
    with EmbeddedServer(data_dir) as server:
        assert server.standing == "owner"
        assert numbers(server.admin_url)[: last + 1] == list(range(last + 1))


def test_a_killed_owner_and_a_killed_postgresql_together_lose_nothing(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        last = kill_after(owner, 100, pid_file=data_dir / "postgres" / "postmaster.pid")
    with EmbeddedServer(data_dir) as server:
        assert numbers(server.admin_url)[: last + 1] == list(range(last + 1))


def test_an_attached_process_takes_over_from_a_killed_owner(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "0\n"
        guest = EmbeddedServer(data_dir)
        guest.start()
        assert guest.standing == "attached"
        address, last = guest.admin_url, kill_after(owner, 50)
    assert guest.take_over_if_orphaned() is True
    assert guest.admin_url == address
    assert len(numbers(address)) >= last + 1
    guest.stop()


def test_a_killed_postgresql_is_started_again_on_the_same_socket(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        address = server.admin_url
        with psycopg.connect(address) as connection:
            connection.execute("create table acknowledged (n int)")
            connection.execute("insert into acknowledged values (1)")
        assert server.ensure_running() is False
        kill_server(server)
        assert server.ensure_running() is True
        assert numbers(address) == [1]


async def test_the_watch_restarts_a_killed_postgresql(data_dir: Path) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    server = EmbeddedServer(data_dir, progress=lambda text: loop.call_soon_threadsafe(said.put_nowait, text))
    await asyncio.to_thread(server.start)
    watch = asyncio.create_task(server.watch(interval_seconds=0.05))
    await asyncio.to_thread(kill_server, server)
    while "ended unexpectedly" not in await said.get():
        pass
    watch.cancel()
    # The restart goes on in its thread; the lock makes this wait for it.
    assert await asyncio.to_thread(server.ensure_running) is False
    async with await psycopg.AsyncConnection.connect(server.url) as connection:
        assert await (await connection.execute("select 1")).fetchone() == (1,)
    await asyncio.to_thread(server.stop)


def test_a_reused_process_number_harms_nobody_and_blocks_nothing(data_dir: Path) -> None:
    EmbeddedServer(data_dir).__enter__().stop()
    account = server_account(data_dir / "postgres")
    uid = account.uid if account.drops_root else -1
    command = [sys.executable, "-c", _INNOCENT, str(uid), str(account.gid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as innocent:
        assert innocent.stdout
        assert innocent.stdout.readline() == "ready\n"
        socket_dir = DataFolder(data_dir).claim_socket_dir(account)
        for stale in (data_dir / "postgres" / "postmaster.pid", socket_dir / f"{SOCKET_NAME}.lock"):
            stale.write_text(f"{innocent.pid}\n{data_dir / 'postgres'}\n1\n5432\n{socket_dir}\n\n 1 1\nready\n")
            account.give(stale)
        with EmbeddedServer(data_dir) as server, psycopg.connect(server.admin_url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert innocent.poll() is None
        innocent.communicate("")
        assert innocent.returncode == 0


def test_the_server_survives_an_interrupt_of_our_terminal_group(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        assert server.server_pid
        assert os.getpgid(server.server_pid) != os.getpgid(0)
        assert os.getsid(server.server_pid) == server.server_pid


def test_a_thread_that_ends_does_not_take_the_server_along(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    assert server.ensure_running() is False
    with psycopg.connect(server.admin_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    server.stop()


def test_a_half_made_cluster_is_made_anew(data_dir: Path) -> None:
    DataFolder(data_dir).prepare()
    left_over = data_dir / ".initdb-left"
    left_over.mkdir()
    (left_over / "password").write_text("old")
    with EmbeddedServer(data_dir) as server, psycopg.connect(server.admin_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not left_over.exists()
