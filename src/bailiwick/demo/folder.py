"""Where the demo lives: a data folder of its own below the installation's, so that it never touches real work."""

import shutil
from pathlib import Path

from bailiwick.installation import Settings
from bailiwick.kernel.errors import ConflictError
from bailiwick.storage.embedded_folder import DataFolder, default_data_dir

# Stands in every folder that the demo made, and in no other.
_MARK = "bailiwick-demo"


def demo_settings(settings: Settings) -> Settings:
    """Return the settings for the demo: its own folder and the embedded server, whatever the installation uses."""
    root = settings.data_dir or default_data_dir()
    return settings.model_copy(update={"data_dir": root / "demo", "database_url": None})


def with_forge(settings: Settings, place: str) -> Settings:
    """Return the settings under which the forge at ``HOST:PORT`` may be called, and nothing else that is not public."""
    return settings.model_copy(update={"outbound_allowed": place})


def prepare_folder(folder: Path, *, keep: bool) -> bool:
    """Make the demo's folder ready and empty; with ``keep`` what is there stays. Says whether data was removed.

    Raises:
        ConflictError: a demo is running there, or the folder is not one that the demo made.
    """
    mark = folder / _MARK
    is_known = mark.exists()
    if folder.exists() and any(folder.iterdir()):
        if not is_known:
            raise ConflictError(
                f"{folder} exists and was not made by the demo; move it away, or set BAILIWICK_DATA_DIR"
            )
        if not DataFolder(folder).owner_lock.is_free():
            raise ConflictError(f"a demo is running in {folder} already; stop it first (Ctrl-C in its terminal)")
        if not keep:
            shutil.rmtree(folder)
    # The account that PostgreSQL runs under must be let through the folder above too.
    for place in (folder.parent, folder):
        DataFolder(place).prepare()
    mark.write_text("Made by `bailiwick demo`, which removes this folder at its next run.\n", encoding="utf-8")
    return is_known and not keep
