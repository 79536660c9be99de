from typing import Any

import pytest

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.settings import OperationsSettings


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"sla_seconds": {"P9": 60}}, "P9"),
        ({"sla_seconds": {"P1": 0}}, "sla_seconds.P1"),
        ({"sla_seconds": {"P1": 10**12}}, "sla_seconds.P1"),
        ({"needs_person_below": 4}, "needs_person_below"),
        ({"hold_seconds": {"P0": -1}}, "hold_seconds.P0"),
        ({"max_agents_tried": 0}, "max_agents_tried"),
        ({"calendar": {"timezone": "Mars/Olympus", "weekly": {"mon": ["09:00-17:00"]}}}, "Mars/Olympus"),
        ({"calendar": {"timezone": "UTC", "weekly": {}}}, "calendar"),
        ({"calendar": "always"}, "calendar"),
        ("nonsense", "settings"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(document: Any, named: str):
    with pytest.raises(InvalidInputError, match=named.replace(".", r"\.")):
        OperationsSettings.of(document)


def test_what_is_not_set_keeps_its_default():
    settings = OperationsSettings.of({"sla_seconds": {"P2": 28800}})

    assert settings.policy.seconds == {Priority.P0: 3600, Priority.P1: 14400, Priority.P2: 28800, Priority.P3: 259200}
    assert settings.needs_person_below == 0.4
