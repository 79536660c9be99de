"""What a backup says about itself, and whether its files are still those it was made with."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.recovery.errors import BackupDamagedError

MANIFEST_FILE = "manifest.json"
_BLOCK_BYTES = 1024 * 1024

Kind = Literal["dump", "base"]
Progress = Callable[[str, float], object]


class FileContent(BaseModel):
    """A file's size and SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class TableContent(BaseModel):
    """How many rows a table holds, and a sum over hashes of them that no other content is likely to have."""

    model_config = ConfigDict(frozen=True)

    rows: int
    fingerprint: str


class ChainHead(BaseModel):
    """Where an organization's audit chain and its signed roots end; hashes in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    organization_id: str
    seq: int
    hash: str
    root_number: int
    root_hash: str


class Contents(BaseModel):
    """What a database holds, seen in one snapshot."""

    model_config = ConfigDict(frozen=True)

    revisions: list[str]
    tables: dict[str, TableContent]
    chains: list[ChainHead]
    master_keys: list[str]


class BaseStart(BaseModel):
    """Whose write-ahead log goes on from a base backup, and the segment it must begin with."""

    model_config = ConfigDict(frozen=True)

    system_identifier: str = Field(pattern=r"^[0-9]+$")  # it names a folder
    first_segment: str
    segment_bytes: int


class Manifest(BaseModel):
    """The document beside a backup's files, written last.

    ``dump`` is portable and holds what the database held at ``made_at``;
    ``base`` is a copy of the embedded server's files, the start for going to a
    point in time after ``made_at``, and only its ``contents.master_keys`` and
    ``revisions`` are known. ``contents.master_keys`` names the keys without
    which sealed values stay sealed; ``includes_key`` tells whether one is here.
    Only what ``is_scheduled`` may be removed by the rule.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    kind: Kind
    id: str
    made_at: datetime
    bailiwick: str
    postgres: int
    programs: int
    database_bytes: int
    contents: Contents
    base: BaseStart | None = None
    includes_key: bool = False
    is_scheduled: bool = False
    files: dict[str, FileContent]

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(file.bytes for file in self.files.values())


def read_manifest(backup: Path) -> Manifest:
    """Return the manifest of a backup's folder.

    Raises:
        NotFoundError: there is none, so this is no finished backup.
        BackupDamagedError: it cannot be read.
        InvalidInputError: a newer Bailiwick wrote it.
    """
    path = backup / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            f"{backup} is no finished backup: it has no {MANIFEST_FILE}; bailiwick backup list shows those there are"
        ) from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        if any(fault["loc"] == ("format",) for fault in error.errors()) and b'"format"' in text:
            raise InvalidInputError(
                f"{path} was written by a newer Bailiwick; install that one to restore it"
            ) from None
        raise BackupDamagedError(f"{path} is damaged; use another backup") from None


def describe_files(folder: Path) -> dict[str, FileContent]:
    """Return size and hash of every file of a folder, by name."""
    return {
        path.name: FileContent(bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE
    }


def check_files(backup: Path, manifest: Manifest, progress: Progress) -> None:
    """Make sure that a backup's files are those its manifest names.

    Raises:
        BackupDamagedError: one is missing, shorter, longer or changed; the message names it.
    """
    for number, (name, wanted) in enumerate(manifest.files.items()):
        path = backup / name
        if Path(name).name != name or not path.is_file():
            raise BackupDamagedError(f"{path} is missing; this backup cannot be used, take another one")
        size = path.stat().st_size
        if size != wanted.bytes:
            how = "truncated" if size < wanted.bytes else "longer than it was"
            raise BackupDamagedError(
                f"{path} is {how}: {size:,} bytes instead of {wanted.bytes:,}; take another backup"
            )
        if sha256_of(path) != wanted.sha256:
            raise BackupDamagedError(
                f"{path} was changed after the backup was made (its SHA-256 differs); take another"
            )
        progress("checking the files", (number + 1) / len(manifest.files))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
