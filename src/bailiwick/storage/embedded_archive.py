"""The archive of the embedded server's write-ahead log: what makes going back to a point in time possible.

PostgreSQL runs a command for every full segment, and for a begun one after five
minutes. The server's account may be unable to run our interpreter, so the
command is a line for the shell, made of gzip, cmp, sync and mv.

Every cluster begins on timeline 1 and names its segments alike, also one that a
dump was restored into. So each has a folder of its own, named by the system
identifier that initdb gave it; a copy of its files keeps both.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.storage.embedded_account import ServerAccount

# What may be lost at most when the disk with the data is; a begun segment is mostly zeros and packs well.
ARCHIVE_SECONDS = 300
SUFFIX = ".gz"
_IDENTIFIER_BYTES = 8


def archive_of_cluster(archives: Path, cluster: Path) -> Path:
    """Return the folder below ``archives`` that is a cluster's own.

    Raises:
        DatabaseUnavailableError: the cluster does not say which it is; it is damaged.
    """
    return archives / system_identifier(cluster)


def system_identifier(cluster: Path) -> str:
    """Return the number that tells a cluster from all others, as ``pg_control_system()`` does; needs no server.

    Raises:
        DatabaseUnavailableError: it cannot be read.
    """
    control = cluster / "global" / "pg_control"
    try:
        with control.open("rb") as file:
            # The first field of PostgreSQL's ControlFileData, on every version, in the machine's byte order.
            number = file.read(_IDENTIFIER_BYTES)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"{control} cannot be read ({error.strerror or error}); keep a copy of the folder and restore a backup"
        ) from error
    if len(number) < _IDENTIFIER_BYTES:
        raise DatabaseUnavailableError(f"{control} is truncated; keep a copy of the folder and restore a backup")
    return str(int.from_bytes(number, sys.byteorder))


def archive_settings(archive: Path | None) -> Mapping[str, str]:
    """Return the server's settings for an archive in a folder, or for none."""
    if archive is None:
        return {"archive_mode": "off"}
    return {
        "archive_mode": "on",
        "archive_command": archive_command(archive),
        "archive_timeout": f"{ARCHIVE_SECONDS}s",
    }


def archive_command(archive: Path) -> str:
    """Return the command that keeps one segment: packed, on the disk before it has its name, never overwriting.

    A segment that is there already is fine if it is the same; the server asks
    again when it died between our success and its note of it.
    """
    # A percent sign of the path is none of the server's placeholders.
    folder = shlex.quote(str(archive)).replace("%", "%%")
    return (
        f'd={folder}; f="$d/%f{SUFFIX}"; t="$d/.%f.partial"; '
        'if [ -e "$f" ]; then gzip -dc "$f" | cmp -s - "%p"; '
        'else gzip -nc1 < "%p" > "$t" && sync "$t" && mv -n "$t" "$f" && [ ! -e "$t" ] && sync "$d"; fi'
    )


def prepare_archive(archive: Path, account: ServerAccount) -> str | None:
    """Make the folder and give it to the server's account; return what stands in the way, if something does.

    Never raises for a folder that cannot be made: the server must start
    without it, and goes on trying.
    """
    try:
        for folder in reversed([archive, *archive.parents]):
            if not folder.exists():
                folder.mkdir(mode=0o711 if account.drops_root else 0o700, exist_ok=True)
                if account.drops_root:
                    folder.chmod(0o711)  # made by us a line above; a strict umask would lock the account out
        account.give(archive)
        if account.drops_root and (closed := account.closed_folder(archive)):
            return f"{closed} is closed to {account.name}, who runs PostgreSQL; allow it with: chmod o+x {closed}"
    except OSError as error:
        return f"{archive} cannot be used: {error.strerror or error}"
    return None


def quoted(value: str) -> str:
    """Return a value as it stands in the server's configuration file."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
