from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from bailiwick.cli.restore import _tell
from bailiwick.recovery.manifest import Manifest

MANIFEST = cast("Manifest", SimpleNamespace(made_at=datetime(2026, 11, 20, 2, 15, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("into", "to_time", "told"),
    [
        (None, None, "as it was at 2026-11-20 02:15:00 UTC; start it with: bailiwick up"),
        (Path("/a b"), None, "start it with: BAILIWICK_DATA_DIR='/a b' bailiwick up"),
        (Path("/a b"), "latest", "as far as the archive goes; start it with: BAILIWICK_DATA_DIR"),
    ],
)
def test_the_next_step_after_a_restore_starts_what_was_restored(into, to_time, told, capsys):
    _tell(MANIFEST, "/a b", into, to_time, as_json=False)

    assert told in capsys.readouterr().err
