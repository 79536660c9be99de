"""A terminal in which the commands of a page are typed one after another."""

import contextlib
import io
import logging
import shlex
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
import structlog

from bailiwick.main import main
from tests.docs.conftest import Platform

_SHELL = frozenset("|<>&;$`(*")


class Session:
    """One page's terminal: a folder, and variables that ``export`` sets.

    Our own commands run in this process, which is thirty times faster than
    starting an interpreter for each; everything else runs in a shell.
    """

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.folder = folder
        self._platform = platform
        self._environment = dict(platform.environment)

    def run(self, line: str) -> tuple[int, str]:
        """Type one line; return its exit code and what it printed, on either stream."""
        line = line.replace("http://127.0.0.1:8700", self._platform.url)
        if line.startswith("export "):
            name, _, value = shlex.split(line)[1].partition("=")
            self._environment[name] = value
            return 0, ""
        if line.startswith("bailiwick ") and not _SHELL & set(line):
            return self._own(shlex.split(line)[1:])
        finished = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=50,
        )  # fmt: skip
        return finished.returncode, finished.stdout

    def _own(self, arguments: list[str]) -> tuple[int, str]:
        printed = io.BytesIO()
        stream = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
        with pytest.MonkeyPatch.context() as patch, _logs_as_they_were():
            patch.chdir(self.folder)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                status = main(arguments)
        return status, printed.getvalue().decode()


@contextlib.contextmanager
def _logs_as_they_were() -> Generator[None]:
    root = logging.getLogger()
    handlers, level, configuration = list(root.handlers), root.level, structlog.get_config()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configuration)
