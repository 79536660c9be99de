"""Where master keys come from: a fixed one, or a file that we make ourselves."""

import base64
import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bailiwick.vault.errors import MasterKeyError
from bailiwick.vault.providers import HOW_TO_MAKE_ONE, KeyProvider, LocalKey

KEY_FILE_NAME = "master.key"


class MasterKeySource(Protocol):
    """Where this process finds its master keys. Methods may block and are called in a thread."""

    def at_hand(self) -> Sequence[KeyProvider]:
        """Return the keys at hand, read anew; more than one while a rotation is under way."""
        ...

    def make_first(self) -> None:
        """Make a key if this place makes its own; only called where nothing was ever sealed."""
        ...


class NoSource:
    """An installation on an external database without a master key: all is well until something must be sealed."""

    def at_hand(self) -> Sequence[KeyProvider]:
        """Return nothing."""
        return ()

    def make_first(self) -> None:
        """Say what is needed."""
        raise MasterKeyError(
            "something must be sealed and no master key is configured; set BAILIWICK_MASTER_KEY (the same for every "
            f"process), BAILIWICK_MASTER_KEY_FILE or BAILIWICK_MASTER_KEY_COMMAND; {HOW_TO_MAKE_ONE}"
        )


class FixedSource:
    """Keys that were given: from the environment, or by a command."""

    def __init__(self, *keys: KeyProvider) -> None:
        self._keys = keys

    def at_hand(self) -> Sequence[KeyProvider]:
        """Return them."""
        return self._keys

    def make_first(self) -> None:
        """Do nothing; they are there."""


class KeyFile:
    """A file with a master key as one line of base64, and beside it, during a rotation, the next one.

    ``may_create``: whether a missing file is made, mode 0600, at first need.
    """

    def __init__(self, path: Path, *, may_create: bool) -> None:
        self.path = path.expanduser().absolute()
        self.next_path = self.path.with_name(f"{self.path.name}.next")
        self.old_path = self.path.with_name(f"{self.path.name}.old")
        self._may_create = may_create

    def at_hand(self) -> Sequence[KeyProvider]:
        """Return the key of the file, and the next one where a rotation is under way."""
        return [key for path in (self.path, self.next_path) if (key := _read(path)) is not None]

    def make_first(self) -> None:
        """Make the file if it is missing; of two processes that try at once, one does.

        Raises:
            MasterKeyError: it is not ours to make.
        """
        if self.path.exists():
            return
        if not self._may_create:
            raise MasterKeyError(
                f"the master key file {self.path} does not exist; put the key there: "
                f"(umask 077; openssl rand -base64 32 > {self.path})"
            )
        self._write_new(self.path)

    def make_next(self) -> None:
        """Make the key that a rotation goes to, unless an interrupted rotation left one."""
        self._write_new(self.next_path)

    def finish_rotation(self) -> None:
        """Put the next key in the file's place; the one before is kept in ``master.key.old``.

        Harmless when it was done before. At no moment is there no key.
        """
        if not self.next_path.exists():
            return
        self.old_path.unlink(missing_ok=True)
        os.link(self.path, self.old_path)
        self.next_path.replace(self.path)
        _sync_folder(self.path.parent)

    def _write_new(self, path: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(32)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            # A link fails where the name is taken, so whoever is second uses the key of the first.
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
            _sync_folder(path.parent)
        except OSError as error:
            raise MasterKeyError(f"the master key file {path} cannot be written: {error.strerror}") from error
        finally:
            Path(name).unlink(missing_ok=True)


def _read(path: Path) -> LocalKey | None:
    try:
        return LocalKey.from_text(path.read_text(encoding="ascii", errors="replace"), where=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MasterKeyError(f"the master key file {path} cannot be read: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
