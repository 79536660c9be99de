"""What agents achieved: how far each effect and each expectation got, and how often what was looked at had worked.

Only looks after what was done had lasted (``LASTS``) tell how often it worked: that a label is there the moment after
it was put there is seen, and no success.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from bailiwick.kernel.intervals import wilson_interval
from bailiwick.outcomes.lasting import LASTED, LASTS_JSON
from bailiwick.storage import Database

# Every effect is in one column, the furthest it got. What was undone, failed or is unknown is no success of any kind.
_EFFECTS: LiteralString = f"""
select e.agent_id, e.effect_class,
       count(*) filter (where e.state = 'declined') as identified,
       count(*) filter (where e.state in ('proposed', 'waiting', 'executing')) as proposed,
       count(*) filter (where e.state = 'applied' and o.state is distinct from 'pending') as applied,
       count(*) filter (where e.state = 'applied' and o.state = 'pending') as pending,
       count(*) filter (where e.state = 'verified' and not coalesce(o.lasted, false)) as seen,
       count(*) filter (where e.state = 'refuted' and not coalesce(o.lasted, false)) as unseen,
       count(*) filter (where e.state = 'verified' and o.lasted) as verified,
       count(*) filter (where e.state = 'refuted' and o.lasted) as refuted,
       count(*) filter (where e.state = 'unverifiable') as unverifiable,
       count(*) filter (where e.state = 'failed') as failed,
       count(*) filter (where e.state = 'unknown') as unknown,
       count(*) filter (where e.state = 'reverted') as reverted
from effects e
left join lateral (
    select o.state, {LASTED} as lasted from outcomes o
    where o.organization_id = %(org)s and o.effect_id = e.id limit 1) as o
    on e.state in ('applied', 'verified', 'refuted')
where e.organization_id = %(org)s and (%(since)s::timestamptz is null or e.proposed_at >= %(since)s)
  and (%(agent)s::uuid is null or e.agent_id = %(agent)s)
group by e.agent_id, e.effect_class"""

_RESULTS: LiteralString = f"""
select o.agent_id, 'result' as effect_class,
       0 as identified, 0 as proposed, 0 as applied,
       count(*) filter (where o.state = 'pending') as pending,
       count(*) filter (where o.state = 'worked' and not {LASTED}) as seen,
       count(*) filter (where o.state = 'did_not' and not {LASTED}) as unseen,
       count(*) filter (where o.state = 'worked' and {LASTED}) as verified,
       count(*) filter (where o.state = 'did_not' and {LASTED}) as refuted,
       count(*) filter (where o.state = 'unknown') as unverifiable,
       0 as failed, 0 as unknown, 0 as reverted
from outcomes o
where o.organization_id = %(org)s and o.effect_id is null
  and (%(since)s::timestamptz is null or o.expected_at >= %(since)s)
  and (%(agent)s::uuid is null or o.agent_id = %(agent)s)
group by o.agent_id"""

_REPORT: LiteralString = f"""
select r.*, a.name as agent from ({_EFFECTS} union all {_RESULTS}) as r
left join agents a on a.organization_id = %(org)s and a.id = r.agent_id
order by a.name nulls last, r.agent_id, r.effect_class"""


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """The share that worked of what was looked at and could be told, and where it lies with 95% probability."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReportLine:
    """What one agent achieved in one class of effects, or with the results of its tasks (class ``result``).

    Each effect is counted once, where it stands now; the columns mean different
    things and are never added up. ``identified``: found and not done.
    ``proposed``: on its way. ``applied``: done, and nothing was expected of it
    that anybody could look at. ``pending``: done, and the look is still to come.
    ``seen``, ``unseen``: there or not when it was looked at at once or too early to be proof. ``verified``,
    ``refuted``, ``unverifiable``: what a later look found. ``failed``,
    ``unknown``, ``reverted``: not done, nobody can tell, taken back.
    """

    agent_id: str | None
    agent: str | None
    effect_class: str
    identified: int
    proposed: int
    applied: int
    pending: int
    seen: int
    unseen: int
    verified: int
    refuted: int
    unverifiable: int
    failed: int
    unknown: int
    reverted: int

    @property
    def success(self) -> SuccessRate | None:
        """How often it worked, of what a later look could tell; None where none could."""
        return success_rate(self.verified, self.refuted)


class OutcomeReports:
    """Reports over the effects and expectations of one organization."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(
        self, organization_id: str, *, since: datetime | None = None, agent_id: str | None = None
    ) -> Sequence[ReportLine]:
        """Return a line per agent and class of what was proposed or expected since a moment."""
        rows = await self._database.fetch_all(
            _REPORT,
            {"org": organization_id, "since": since, "agent": agent_id, "lasts": LASTS_JSON},
            organization_id=organization_id,
        )
        return [ReportLine(**row) for row in rows]


def success_rate(verified: int, refuted: int) -> SuccessRate | None:
    """Return the share of verified among verified and refuted, with its 95 % score interval."""
    looked = verified + refuted
    return None if looked == 0 else SuccessRate(verified / looked, *wilson_interval(verified, looked))
