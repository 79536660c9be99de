"""Rehearsals: what another policy or level would have done in runs that really happened."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from bailiwick.api.access import Needs, Platform, Tenant
from bailiwick.api.rest.pages import Moment, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.authority.model import EffectClass
from bailiwick.authority.policy.entries import MAX_CHARACTERS
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.replay.rehearsal import Bound, Bounds, Rehearsal, judge
from bailiwick.replay.rehearsals import Selection

router = APIRouter(prefix="/rehearsals", tags=["rehearsals"])

# A request is answered while somebody waits; more can be rehearsed on the command line.
_MAX_RUNS = 500


def _is_bound(text: str) -> str:
    try:
        Bound.parse(text)
    except InvalidInputError as error:
        raise ValueError(str(error)) from error
    return text


BoundText = Annotated[str, Field(max_length=20), AfterValidator(_is_bound)]


class RehearsalRequest(Body):
    """Over which runs, and how much worse is still allowed."""

    kind: str | None = Field(default=None, max_length=200, description="Only runs of this kind of task.")
    since: Moment | None = Field(default=None, description="From this moment on.", examples=["2026-11-20T09:30:00Z"])
    until: Moment | None = Field(default=None, description="Before this moment.", examples=["2026-11-21T09:30:00Z"])
    runs: int = Field(default=200, ge=1, le=_MAX_RUNS, description="How many at most, the newest first.")
    max_regressions: BoundText = Field(default="0", description="A number, or a share such as 5%.", examples=["0"])
    max_diverged: BoundText = Field(
        default="0", description="How many may ask for what was never recorded.", examples=["5%"]
    )

    @property
    def bounds(self) -> Bounds:
        """What is allowed."""
        return Bounds(Bound.parse(self.max_regressions), Bound.parse(self.max_diverged))


class PolicyRehearsalRequest(RehearsalRequest):
    """A policy to try."""

    agent: str | None = Field(
        default=None, min_length=1, max_length=200, description="Only this agent's, by id or name."
    )
    policy: str = Field(max_length=MAX_CHARACTERS, description="The policy as YAML.", examples=["rules: []"])


class LevelRehearsalRequest(RehearsalRequest):
    """A level of autonomy to try."""

    agent: str = Field(min_length=1, max_length=200, description="The agent, by id or name.", examples=["Security"])
    effect_class: EffectClass = Field(description="The class of effects.", examples=["write"])
    level: int = Field(ge=1, le=5, description="The level, from 1 (observe) to 5.", examples=[3])


class SideView(BaseModel):
    """One side of a change."""

    outcome: str = Field(description="allow, approve or deny.", examples=["approve"])
    rule: str = Field(description="The rule that says so.", examples=["ask-before-comments"])
    reason: str = Field(description="Why.", examples=["comments are read by customers"])


class ChangeView(BaseModel):
    """A decision that would be another one."""

    run_id: str = Field(description="The run.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    effect_id: str | None = Field(description="The effect, where one was made of it.", examples=[None])
    tool: str = Field(description="The tool.", examples=["github.comment"])
    effect_class: str = Field(description="Its class.", examples=["external"])
    target: str = Field(description="What is changed.", examples=["issue:acme/shop#7"])
    movement: str = Field(description="loosened or tightened.", examples=["loosened"])
    old: SideView = Field(description="What was decided.")
    new: SideView = Field(description="What would be decided.")
    evidence: str = Field(description="What people and checks said of it by now.", examples=["approval rejected"])
    regression: str | None = Field(description="Why it is worse; null where nothing says so.", examples=[None])
    risk: float | None = Field(description="Its risk score, where known.", examples=[None])


class DivergenceView(BaseModel):
    """Where nobody knows."""

    run_id: str = Field(description="The run.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    about: str = Field(description="What it is about.", examples=["github.comment"])
    reason: str = Field(description="What is missing.", examples=["its proposal is not recorded in full"])


class RehearsalView(BaseModel):
    """What a rehearsal found."""

    subject: Literal["policy", "level", "agent"] = Field(description="What was tried.", examples=["policy"])
    candidate: str = Field(description="Which one.", examples=["the policy with 3 rules"])
    is_passed: bool = Field(description="Whether it is within its bounds; false: refused.", examples=[False])
    reasons: list[str] = Field(description="Why it is refused.", examples=[["1 regressions where 20 were compared"]])
    runs: int = Field(description="Over how many runs.", examples=[12])
    compared: int = Field(description="How many decisions could be compared.", examples=[20])
    same: int = Field(description="How many are the same.", examples=[18])
    regressions: int = Field(description="How many are worse.", examples=[1])
    changes: list[ChangeView] = Field(description="The changed ones, the riskiest first.")
    diverged: list[DivergenceView] = Field(description="Those of which nobody knows; they count as neither.")
    by_class: dict[str, dict[str, int]] = Field(
        description="Counts by class of effect.", examples=[{"external": {"same": 18, "loosened": 2}}]
    )


@router.post("/policy", summary="Rehearse a policy", responses=problems(404), dependencies=[Needs("policies:read")])
async def rehearse_policy(platform: Platform, organization: Tenant, wanted: PolicyRehearsalRequest) -> RehearsalView:
    """Make an organization's recorded decisions again by another policy; nothing is done and nothing put in force.

    `is_passed` is false where it does worse than allowed: lets through unasked
    what people rejected, what did not work or what a rule refused, or forbids what worked.
    """
    selection = await _selection(platform, organization.id, wanted, wanted.agent)
    return _view(await platform.rehearsals.policy(organization.id, wanted.policy, selection), wanted.bounds)


@router.post("/level", summary="Rehearse a level", responses=problems(404), dependencies=[Needs("autonomy:read")])
async def rehearse_level(platform: Platform, organization: Tenant, wanted: LevelRehearsalRequest) -> RehearsalView:
    """Make an agent's recorded decisions again as if it had another level of autonomy; nothing is changed."""
    selection = await _selection(platform, organization.id, wanted, wanted.agent)
    assert selection.agent_id is not None
    found = await platform.rehearsals.level(
        organization.id, selection.agent_id, wanted.effect_class, wanted.level, selection
    )
    return _view(found, wanted.bounds)


async def _selection(
    platform: Platform, organization_id: str, wanted: RehearsalRequest, agent: str | None
) -> Selection:
    found = None if agent is None else await platform.directory.get(organization_id, agent)
    return Selection(wanted.kind, None if found is None else found.id, wanted.since, wanted.until, wanted.runs)


def _view(found: Rehearsal, bounds: Bounds) -> RehearsalView:
    verdict = judge(found, bounds)
    return RehearsalView(
        subject=found.subject, candidate=found.candidate, is_passed=verdict.is_passed, reasons=list(verdict.reasons),
        runs=found.runs, compared=found.compared, same=found.same, regressions=len(found.regressions),
        changes=[ChangeView.model_validate(one, from_attributes=True) for one in found.changes],
        diverged=[DivergenceView.model_validate(one, from_attributes=True) for one in found.diverged],
        by_class={name: dict(counts) for name, counts in found.by_class.items()},
    )  # fmt: skip
