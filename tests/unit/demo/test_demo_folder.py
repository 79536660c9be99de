from pathlib import Path

import pytest

from bailiwick.demo.folder import demo_settings, prepare_folder
from bailiwick.installation import Settings
from bailiwick.kernel.errors import ConflictError


def test_the_demo_keeps_to_a_folder_of_its_own(data_dir: Path):
    settings = Settings(data_dir=data_dir, database_url="postgresql://production/x")  # pyright: ignore[reportArgumentType]

    own = demo_settings(settings)

    assert own.data_dir == data_dir / "demo"
    assert own.database_url is None


def test_each_demo_begins_anew(data_dir: Path):
    folder = data_dir / "demo"
    assert prepare_folder(folder, keep=False) is False
    (folder / "left").write_text("from the last run", encoding="utf-8")

    assert prepare_folder(folder, keep=False) is True
    assert not (folder / "left").exists()


def test_the_data_of_the_last_demo_stays_if_asked_for(data_dir: Path):
    folder = data_dir / "demo"
    prepare_folder(folder, keep=False)
    (folder / "left").write_text("from the last run", encoding="utf-8")

    assert prepare_folder(folder, keep=True) is False
    assert (folder / "left").exists()


def test_a_folder_that_the_demo_did_not_make_is_left_alone(data_dir: Path):
    folder = data_dir / "demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")

    with pytest.raises(ConflictError, match="not made by the demo"):
        prepare_folder(folder, keep=False)

    assert (folder / "thesis.txt").exists()
