"""Policies: the rules that say what agents may do, by version."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bailiwick.api.access import Acting, Admin, Needs, Platform, Tenant
from bailiwick.api.rest.pages import Cursor, Limit, PageOf, problems
from bailiwick.api.rest.pages import Request as Body
from bailiwick.api.rest.rehearsals import BoundText
from bailiwick.authority import PolicyRecord
from bailiwick.authority.cases import CaseReport, explained, run_cases
from bailiwick.authority.policies import read_in_thread
from bailiwick.authority.policy.entries import MAX_CHARACTERS
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.replay.rehearsal import Bound, Bounds

router = APIRouter(prefix="/policies", tags=["policies"])

_SOURCE = """\
rules:
  - name: comments
    because: comments can be taken back
    when: {tool: github.comment}
    then: allow
"""
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="The version, from 1.", examples=[3])]
OldVersion = Annotated[
    int, Query(alias="from", ge=0, le=2**31 - 1, description="The version to compare with; 0 is empty.", examples=[2])
]


class PolicyItem(BaseModel):
    """A version of a policy, without its text."""

    version: int = Field(
        description="Its number; the highest is in force. 0 is the ceiling that comes with the platform.", examples=[3]
    )
    digest: str = Field(description="SHA-256 of its text.", examples=["9f86d0" * 10 + "9f86"])
    note: str | None = Field(description="Why it was put.", examples=["less mail at night"])
    put_by_kind: str = Field(description="What kind of actor put it.", examples=["user"])
    put_by_id: str = Field(description="Who put it, by id.", examples=["0199b6ff-b66f-7000-8000-000000000001"])
    put_by_name: str = Field(description="Who put it.", examples=["Maria Ortega"])
    put_at: datetime | None = Field(
        description="When (UTC); null: it comes with the platform.", examples=["2026-11-20T09:30:00Z"]
    )


class PolicyView(PolicyItem):
    """A version of a policy as it was written."""

    source: str = Field(description="Its text, as YAML.", examples=[_SOURCE])


class PolicyPage(PageOf[PolicyItem]):
    """A page of versions."""


class NewPolicy(Body):
    """A policy to put in force."""

    source: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="Its text, as YAML.", examples=[_SOURCE])
    note: str | None = Field(
        default=None, min_length=1, max_length=2_000, description="Why, for whoever reads the history.",
        examples=["comments can be taken back"],
    )  # fmt: skip
    based_on: int | None = Field(
        default=None, ge=0, le=2**31 - 1,
        description="The version that was changed, 0 for none: refused if another is in force by now.", examples=[2],
    )  # fmt: skip
    max_regressions: BoundText | None = Field(
        default=None, examples=["0"],
        description="Refuse it unless its rehearsal on recorded decisions has no more regressions: a number or share.",
    )  # fmt: skip


class PolicyTrial(Body):
    """A policy to test; nothing is put in force."""

    source: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="Its text, as YAML.", examples=[_SOURCE])


class Difference(BaseModel):
    """A field of a case that came out otherwise."""

    field: str = Field(description="Which.", examples=["outcome"])
    expected: Any = Field(description="What the case promises.", examples=["allow"])
    actual: Any = Field(description="What was decided.", examples=["approve"])


class CaseView(BaseModel):
    """What came of one test case."""

    name: str = Field(description="Its name.", examples=["a comment"])
    line: int = Field(description="Where it begins.", examples=[12])
    passed: bool = Field(description="Whether it came out as promised.", examples=[True])
    outcome: Literal["allow", "approve", "deny"] | None = Field(
        description="What was decided; null if the case cannot be run.", examples=["allow"]
    )
    rule: str | None = Field(description="By which rule.", examples=["comments"])
    fault: str | None = Field(description="Why it cannot be run.", examples=[None])
    differences: list[Difference] = Field(description="Where it came out otherwise.")
    explanation: list[str] = Field(description="The same for people; empty where it passed.")


class TrialReport(BaseModel):
    """What came of a policy's own tests."""

    passed: bool = Field(description="Whether all came out as promised; only then it can be put.", examples=[True])
    cases: list[CaseView] = Field(description="Every case.")
    unreached: list[str] = Field(description="Rules that no case reached.", examples=[["nights"]])


class DifferenceView(BaseModel):
    """What changed between two versions."""

    old: int = Field(description="The version before.", examples=[2])
    new: int = Field(description="The version after.", examples=[3])
    diff: str = Field(description="Unified diff; empty where nothing changed.", examples=["@@ -1 +1 @@"])


@router.get("", summary="List versions", responses=problems(404), dependencies=[Needs("policies:read")])
async def list_policies(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> PolicyPage:
    """Return the versions of the organization's policy, newest first; the first is in force."""
    page = await platform.policies.history(organization.id, limit=limit, cursor=cursor)
    return PolicyPage.model_validate(page, from_attributes=True)


@router.get("/current", summary="Policy in force", responses=problems(404), dependencies=[Needs("policies:read")])
async def get_current_policy(platform: Platform, organization: Tenant) -> PolicyView:
    """Return the organization's policy that is in force."""
    return _view(await platform.policies.get(organization.id))


@router.put(
    "/current", summary="Put a policy in force", responses=problems(404, 409), dependencies=[Needs("policies:write")]
)
async def put_policy(platform: Platform, organization: Tenant, actor: Acting, body: NewPolicy) -> PolicyView:
    """Put a policy in force as the next version; the same text again changes nothing.

    Refused with the lines at fault if it cannot be read, and if its own tests fail.
    """
    if body.max_regressions is not None:
        bounds = Bounds(Bound.parse(body.max_regressions))
        await platform.rehearsals.require_policy(organization.id, body.source, bounds, is_ceiling=False)
    made = await platform.policies.put(
        organization.id, body.source, actor=actor, note=body.note, based_on=body.based_on
    )
    return _view(made)


@router.post("/test", summary="Test a policy", responses=problems(404), dependencies=[Needs("policies:read")])
async def try_policy(organization: Tenant, body: PolicyTrial) -> TrialReport:
    """Run the tests that a policy brings along; nothing is put in force."""
    del organization
    policy = await read_in_thread(body.source)
    return _report(await asyncio.to_thread(run_cases, policy))


@router.get("/ceiling", summary="Ceiling in force", responses=problems(404), dependencies=[Needs("policies:read")])
async def get_ceiling(platform: Platform, organization: Tenant) -> PolicyView:
    """Return the installation's policy, to which every organization is held; version 0 comes with the platform."""
    del organization
    return _view(await platform.policies.get(INSTALLATION))


@router.put("/ceiling", summary="Put the ceiling in force", responses=problems(409))
async def put_ceiling(platform: Platform, _: Admin, actor: Acting, body: NewPolicy) -> PolicyView:
    """Put a policy in force that every organization is held to; its rules only limit. For administrators."""
    if body.max_regressions is not None:
        raise InvalidInputError(
            "the ceiling holds for every organization and is rehearsed in one of them at a time; do so with "
            "bailiwick rehearse policy FILE --ceiling --org NAME, and put it without max_regressions"
        )
    made = await platform.policies.put(INSTALLATION, body.source, actor=actor, note=body.note, based_on=body.based_on)
    return _view(made)


@router.get("/{version}", summary="Get a version", responses=problems(404), dependencies=[Needs("policies:read")])
async def get_policy(platform: Platform, organization: Tenant, version: Version) -> PolicyView:
    """Return one version of the organization's policy as it was written."""
    return _view(await platform.policies.get(organization.id, version))


@router.get(
    "/{version}/diff", summary="Compare versions", responses=problems(404), dependencies=[Needs("policies:read")]
)
async def diff_policies(
    platform: Platform, organization: Tenant, version: Version, old: OldVersion = 0
) -> DifferenceView:
    """Return what changed between an older version and this one."""
    diff = await platform.policies.difference(organization.id, old, version)
    return DifferenceView(old=old, new=version, diff=diff)


def _view(record: PolicyRecord) -> PolicyView:
    return PolicyView.model_validate(record, from_attributes=True)


def _report(report: CaseReport) -> TrialReport:
    return TrialReport(
        passed=report.is_passed,
        cases=[
            CaseView(
                name=result.name,
                line=result.line,
                passed=result.is_passed,
                outcome=None if result.decision is None else result.decision.outcome,
                rule=None if result.decision is None else result.decision.rule,
                fault=result.fault,
                differences=[
                    Difference(field=field, expected=expected, actual=actual)
                    for field, expected, actual in result.differences
                ],
                explanation=[] if result.is_passed else explained(result),
            )
            for result in report.results
        ],
        unreached=list(report.unreached),
    )
