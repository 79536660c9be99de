"""A vault on a database of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bailiwick.storage import Database
from bailiwick.vault import Vault
from bailiwick.vault.key_file import KeyFile


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    """A key file that is made at first need."""
    return KeyFile(tmp_path / "master.key", may_create=True)


@pytest.fixture
def vault(database: Database, key_file: KeyFile) -> Vault:
    """The vault of one process."""
    return Vault(database, key_file)


@pytest.fixture
def another_process(database: Database, key_file: KeyFile) -> Callable[..., Vault]:
    """Vaults with nothing in memory, as another process has them."""

    def make(*, erasure_seconds: float = 0.0) -> Vault:
        return Vault(database, KeyFile(key_file.path, may_create=True), erasure_seconds=erasure_seconds)

    return make
