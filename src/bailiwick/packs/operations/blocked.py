"""Why issues are blocked, by family: what they wait for, as far as the reason of their last move says."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bailiwick.storage import Database

Family = Literal["department_not_in_release", "lacks_input", "likely_duplicate", "needs_person"]

FAMILIES: tuple[Family, ...] = ("department_not_in_release", "lacks_input", "likely_duplicate", "needs_person")

LACKS = "cannot determine: "
"""How a reason begins when an input is missing."""

SAME_AS = "probably the same as "
"""How a reason begins when an issue rests on its likely original."""

_NO_AGENT = " agent is not part of this release"


@dataclass(frozen=True, slots=True)
class BlockedBecause:
    """How many issues are blocked for what; ``departments`` splits those that wait for a department."""

    families: dict[Family, int]
    departments: dict[str, int]


def not_in_release(department: str) -> str:
    """Return the reason of an issue whose department no agent of this release works for."""
    return f"{LACKS}the {department}{_NO_AGENT}"


def family_of(reason: str) -> Family:
    """Return the family of a blocked issue's reason; what is none of the others waits for a person's decision."""
    if reason.startswith(LACKS):
        return "department_not_in_release" if _NO_AGENT in reason else "lacks_input"
    return "likely_duplicate" if reason.startswith(SAME_AS) else "needs_person"


def grouped(blocked: Iterable[tuple[str, str | None, int]]) -> BlockedBecause:
    """Group reasons, each with the issue's department and how many have it; the largest department first."""
    families: dict[Family, int] = dict.fromkeys(FAMILIES, 0)
    departments: Counter[str] = Counter()
    for reason, department, n in blocked:
        family = family_of(reason)
        families[family] += n
        if family == "department_not_in_release":
            departments[department or "unknown"] += n
    return BlockedBecause(families, dict(departments.most_common()))


async def blocked_because(database: Database, organization_id: str) -> BlockedBecause:
    """Return why the issues that came in open are blocked."""
    rows = await database.fetch_all(
        "select status_reason, department, count(*) as n from issues "
        "where organization_id = %s and status = 'blocked' and not is_history group by 1, 2 order by 2, 1",
        (organization_id,),
        organization_id=organization_id,
    )
    return grouped((row["status_reason"], row["department"], row["n"]) for row in rows)
