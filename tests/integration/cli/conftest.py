"""The command line on a database of the test's own."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import structlog

from bailiwick.main import main


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its one JSON document."""
        return orjson.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture
def bailiwick(login_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in this process; what was printed comes back."""
    monkeypatch.setenv("BAILIWICK_DATABASE_URL", login_url)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        streams = capsys.readouterr()
        return Ran(code, streams.out, streams.err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
