"""A folder of backups: each is a folder of its own that appears whole or not at all.

BACKUPS/NAME/               a finished backup: manifest.json and its files
BACKUPS/.partial-NAME/      one that is being made, or was when its maker died
BACKUPS/.lock               held by whoever makes or removes one
BACKUPS/wal/CLUSTER/        the archive of an embedded server's write-ahead log, by its system identifier
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bailiwick.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from bailiwick.recovery.errors import BackupDamagedError
from bailiwick.recovery.manifest import MANIFEST_FILE, Kind, Manifest, read_manifest
from bailiwick.storage.embedded_folder import FolderLock

_PARTIAL, _DELETING = ".partial-", ".deleting-"


@dataclass(frozen=True, slots=True)
class Found:
    """A finished backup and where it lies."""

    path: Path
    manifest: Manifest


class BackupFolder:
    """The backups below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def archive_of(self, system_identifier: str) -> Path:
        """Return where a cluster keeps its write-ahead log; another one's may have the same segments' names."""
        return self.root / "wal" / system_identifier

    def list(self, kind: Kind | None = None) -> list[Found]:
        """Return the finished backups, newest first; what cannot be read is left out."""
        found: list[Found] = []
        for path in self.root.iterdir() if self.root.is_dir() else ():
            if path.name.startswith(".") or not (path / MANIFEST_FILE).is_file():
                continue
            try:
                manifest = read_manifest(path)
            except (BackupDamagedError, InvalidInputError, NotFoundError):
                continue
            if kind is None or manifest.kind == kind:
                found.append(Found(path, manifest))
        return sorted(found, key=lambda one: one.manifest.made_at, reverse=True)

    def find(self, name: str | None, kind: Kind | None = None) -> Path:
        """Return a backup by name or path, or the newest one.

        Raises:
            NotFoundError: there is none.
        """
        if name is None:
            newest = next(iter(self.list(kind)), None)
            if newest is None:
                raise NotFoundError(f"there is no backup in {self.root}; make one with: bailiwick backup")
            return newest.path
        for path in (self.root / name, Path(name).expanduser().absolute()):
            if (path / MANIFEST_FILE).is_file():
                return path
        raise NotFoundError(f"no finished backup {name!r}; bailiwick backup list shows those there are")

    @contextmanager
    def staged(self, name: str) -> Generator[Path]:
        """Make a backup: the block fills a hidden folder, which gets its name when all of it is on the disk.

        A block that fails, or a process that is killed, leaves nothing with that
        name; what a killed one left is removed by the next.

        Raises:
            ConflictError: another process makes a backup here.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._locked():
            for left_over in [*self.root.glob(f"{_PARTIAL}*"), *self.root.glob(f"{_DELETING}*")]:
                shutil.rmtree(left_over)
            staging = self.root / f"{_PARTIAL}{name}"
            staging.mkdir(mode=0o700)
            try:
                yield staging
                for path in [*staging.rglob("*"), staging]:
                    sync(path)
                staging.rename(self.root / name)
                sync(self.root)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise

    def remove(self, path: Path) -> None:
        """Remove a backup; from the first moment on it no longer looks like one."""
        with self._locked():
            hidden = path.with_name(f"{_DELETING}{path.name}")
            path.rename(hidden)
            shutil.rmtree(hidden)

    @contextmanager
    def _locked(self) -> Generator[None]:
        lock = FolderLock(self.root / ".lock")
        if not lock.acquire():
            raise ConflictError(f"another process is making a backup in {self.root}; wait for it")
        try:
            yield
        finally:
            lock.release()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest beside the files; the last thing written."""
    path = folder / MANIFEST_FILE
    path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
