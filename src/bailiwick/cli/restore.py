"""``bailiwick restore``: the way back from a backup."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bailiwick.cli.backup import ADMINISTRATOR, progress_bar
from bailiwick.cli.output import note, print_json
from bailiwick.cli.session import read_settings
from bailiwick.cli.values import moment
from bailiwick.extensions import find_extensions
from bailiwick.installation import Settings
from bailiwick.installation.master_key import master_key_source
from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.recovery.folder import BackupFolder
from bailiwick.recovery.manifest import Manifest
from bailiwick.recovery.restoring import Wanted, restore_dump, restore_dump_outside
from bailiwick.recovery.rewinding import rewind
from bailiwick.storage.embedded_folder import default_data_dir
from bailiwick.vault.key_file import KeyFile

app = typer.Typer()

_LATEST = "latest"


@app.command()
def restore(
    name: Annotated[
        str | None, typer.Argument(metavar="[BACKUP]", help="A dump by its name or folder; else the newest one.")
    ] = None,
    *,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DATA_DIR", help="The data folder to make; else the usual one.")
    ] = None,
    to_time: Annotated[
        str | None,
        typer.Option("--to-time", metavar="TIME", help="Go to this moment (2026-11-20T12:00:00Z), or to the latest."),
    ] = None,
    backup_dir: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Where backups lie; else BAILIWICK_BACKUP_DIR.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="The master key, to be put beside the data.")
    ] = None,
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Restore although sealed values will stay sealed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is in the data folder aside; it is kept under another name.")
    ] = False,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document instead of a sentence."),
) -> None:
    """Bring a backup back, into an empty data folder or an empty external database (BAILIWICK_DATABASE_URL).

    Checks the backup's files first. What is made appears whole or not at all;
    start it with bailiwick up. Tasks that were at work go on by themselves.
    """
    settings = read_settings()
    with progress_bar() as report:
        wanted = Wanted(
            migrations=_migrations(), key_file=key_file, other_keys=_keys_in_no_file(settings), without_key=without_key,
            replace=replace, actor=ADMINISTRATOR, progress=report,
        )  # fmt: skip
        outside = into is None and settings.database_url is not None
        if to_time is not None:
            if name is not None or outside:
                raise InvalidInputError(
                    "--to-time begins with the right copy of the embedded server's files by itself; "
                    "leave the backup's name and BAILIWICK_DATABASE_URL away, or say --into DATA_DIR"
                )
            target = _target(settings, into)
            manifest = rewind(_folder(settings, backup_dir), target, _moment(to_time), wanted)
        elif outside:
            target = "the database of BAILIWICK_DATABASE_URL"
            manifest = restore_dump_outside(_dump(settings, backup_dir, name), _admin_url(settings), wanted)
        else:
            target = _target(settings, into)
            manifest = restore_dump(_dump(settings, backup_dir, name), target, wanted)
    _tell(manifest, str(target), into, to_time, as_json=as_json)


def _tell(manifest: Manifest, target: str, into: Path | None, to_time: str | None, *, as_json: bool) -> None:
    if as_json:
        shown = manifest.model_dump(mode="json", include={"id", "kind", "made_at", "bailiwick", "includes_key"})
        print_json({"into": target, "to_time": to_time, "backup": shown})
        return
    when = f"as it was at {to_time or moment(manifest.made_at)}"
    if to_time == _LATEST:
        when = "as far as the archive goes"
    # Without the folder's name, `up` would start what the restore was made beside.
    folder = f"BAILIWICK_DATA_DIR={shlex.quote(target)} " if into is not None else ""
    note(f"restored into {target}, {when}; start it with: {folder}bailiwick up", style="")


def _moment(text: str) -> datetime | None:
    if text == _LATEST:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is no moment; write it like 2026-11-20T12:00:00Z") from error
    if moment.tzinfo is None:
        raise InvalidInputError(f"{text!r} has no time zone; write it like {text}Z for UTC")
    return moment.astimezone(UTC)


def _migrations() -> Sequence[Path]:
    found, _failed = find_extensions()
    return [extension.migrations for extension in found if extension.migrations is not None]


def _keys_in_no_file(settings: Settings) -> list[str]:
    source = master_key_source(settings)
    if isinstance(source, KeyFile) and settings.master_key_file is None:
        return []  # the data folder's own, which is looked for where the data is restored to
    return [key.id for key in source.at_hand()]


def _folder(settings: Settings, given: Path | None) -> BackupFolder:
    folder = given or settings.backup_dir
    if folder is None:
        raise CannotDetermineError("the folder of backups (give --from DIR, or set BAILIWICK_BACKUP_DIR)")
    return BackupFolder(folder)


def _dump(settings: Settings, given: Path | None, name: str | None) -> Path:
    folder = given or settings.backup_dir
    if folder is None and name is not None:
        return BackupFolder(Path.cwd()).find(name)
    return _folder(settings, given).find(name, "dump")


def _target(settings: Settings, into: Path | None) -> Path:
    return (into or settings.data_dir or default_data_dir()).expanduser().absolute()


def _admin_url(settings: Settings) -> str:
    url = settings.database_admin_url or settings.database_url
    assert url is not None
    return url.get_secret_value()
