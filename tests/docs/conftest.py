"""A running platform for the commands that the pages show."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PATIENCE_SECONDS = 40


@dataclass(frozen=True)
class Platform:
    """A ``bailiwick up`` with a folder and a port of its own."""

    url: str
    data_dir: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform as the tutorial starts it, for all pages of this process."""
    # Directly below the temporary folder and short: PostgreSQL's account must reach it.
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-pages-"))
    environment = _environment(folder)
    told = tmp_path_factory.mktemp("up") / "log"
    log = told.open("wb")
    serving = subprocess.Popen(
        ["bailiwick", "up"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{environment['BAILIWICK_PORT']}"
        _wait_until_ready(url, serving, told)
        made = subprocess.run(
            ["bailiwick", "keys", "create", "pages", "--admin", "--json"], env=environment, stdout=subprocess.PIPE,
            check=True,
        )  # fmt: skip
        yield Platform(url, folder, {**environment, "KEY": json.loads(made.stdout)["key"]})
    finally:
        serving.send_signal(signal.SIGTERM)
        try:
            serving.wait(30)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()
        log.close()
        shutil.rmtree(folder)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "BAILIWICK_DATA_DIR": str(folder),
        "BAILIWICK_PORT": str(port),
        "COLUMNS": "220",
        "NO_COLOR": "1",
    }


def _wait_until_ready(url: str, serving: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and serving.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"bailiwick up is not ready:\n{log.read_text(errors='replace')}")
