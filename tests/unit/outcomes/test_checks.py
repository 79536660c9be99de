"""The registry of checks, and what a finding must say."""

import pytest
from pydantic import BaseModel, ConfigDict

from bailiwick.kernel.errors import ConflictError, InvalidPayloadError, UnknownKindError
from bailiwick.outcomes import Check, CheckRegistry, Expected, Finding


class Level(BaseModel):
    model_config = ConfigDict(extra="forbid")

    metres: float


async def look(organization_id: str, arguments: Level, expected: Expected) -> Finding:
    del organization_id, arguments, expected
    return Finding("worked")


def test_a_check_is_found_by_its_name_and_takes_its_own_arguments() -> None:
    checks = CheckRegistry()
    check = Check("lake.full", Level, look)
    checks.register(check)
    assert checks.get("lake.full") is check
    assert checks.arguments(check, {"metres": 3}) == Level(metres=3)
    with pytest.raises(InvalidPayloadError, match=r"do not fit lake\.full"):
        checks.arguments(check, {"feet": 10})
    with pytest.raises(UnknownKindError, match=r"no check 'lake\.dry'; there are: lake\.full"):
        checks.get("lake.dry")
    with pytest.raises(ConflictError):
        checks.register(check)


@pytest.mark.parametrize(("verdict", "missing"), [("unknown", None), ("unknown", ""), ("worked", "something")])
def test_a_finding_says_what_is_missing_exactly_if_it_is_unknown(verdict: str, missing: str | None) -> None:
    with pytest.raises(ValueError, match="unknown exactly if something is missing"):
        Finding(verdict, missing=missing)  # type: ignore[arg-type]
