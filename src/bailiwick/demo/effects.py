"""What became of the effects that agents proposed, and which rules refused some of them."""

from dataclasses import asdict, dataclass
from typing import Any

from bailiwick.storage import Database

# Each count stands for itself: what was verified was applied before, and what was applied was proposed.
_COUNTS = """
select count(*) as proposed,
       count(*) filter (where state = 'waiting') as waiting_for_approval,
       count(*) filter (where ended_at is not null and began_at is not null
                        and state not in ('failed', 'unknown')) as applied,
       count(*) filter (where state = 'verified') as verified,
       count(*) filter (where state = 'declined') as denied,
       count(*) filter (where state = 'failed') as failed,
       count(*) filter (where state = 'unknown') as unknown
from effects where organization_id = %(org)s and reverts is null"""

_REFUSALS = """
select coalesce(d.rule, 'no way out') as rule, coalesce(d.reason, e.problem) as reason, count(*)::int as count,
       min(e.target) as target, (array_agg(e.id order by e.id))[1] as effect_id
from effects e left join decisions d on d.id = e.decision_id
where e.organization_id = %(org)s and e.state = 'declined'
group by 1, 2 order by 3 desc, 1 limit 10"""

# The oldest, and the oldest other one whose run has done something already that can be taken back.
_WAITING = """
with waiting as (
    select e.id, e.approval_id, e.target, e.digest, e.task_id, exists (
        select from effects o where o.organization_id = e.organization_id and o.task_id = e.task_id
        and o.state = 'verified' and o.undo is not null) as has_done
    from effects e where e.organization_id = %(org)s and e.state = 'waiting'),
oldest as (select * from waiting order by id limit 1)
select approval_id, target, digest, task_id, false as is_to_reject from oldest
union all
(select w.approval_id, w.target, w.digest, w.task_id, true from waiting w
where w.has_done and w.id <> (select id from oldest) order by w.id limit 1)"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Effects that one rule refused: how many, why, and one of them."""

    rule: str
    reason: str
    count: int
    target: str
    effect_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that waits: about what, bound to which digest, and whose run waits for it."""

    approval_id: str
    target: str
    digest: str
    task_id: str


@dataclass(frozen=True, slots=True)
class EffectsSeen:
    """Counts that are never summed, the refusals, an approval to say yes to, and one to say no to.

    The run of the latter has done something already, which can be taken back once it is over.
    """

    proposed: int = 0
    waiting_for_approval: int = 0
    applied: int = 0
    verified: int = 0
    denied: int = 0
    failed: int = 0
    unknown: int = 0
    refusals: tuple[Refusal, ...] = ()
    to_approve: Asked | None = None
    to_reject: Asked | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the counts and refusals as the demo's document shows them."""
        return asdict(self)


async def effects_seen(database: Database, organization_id: str) -> EffectsSeen:
    """Return what became of an organization's effects; three short reads."""
    parameters = {"org": organization_id}
    counts = await database.fetch_one(_COUNTS, parameters, organization_id=organization_id)
    refusals = await database.fetch_all(_REFUSALS, parameters, organization_id=organization_id)
    waiting = await database.fetch_all(_WAITING, parameters, organization_id=organization_id)
    asked = {row.pop("is_to_reject"): Asked(**row) for row in waiting}
    return EffectsSeen(
        **(counts or {}),
        refusals=tuple(Refusal(**row) for row in refusals),
        to_approve=asked.get(False),
        to_reject=asked.get(True),
    )
