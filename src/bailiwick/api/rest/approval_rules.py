"""Remembered rules and delegations: what is answered ahead, and by whom instead."""

from typing import Annotated

from fastapi import APIRouter, Path

from bailiwick.api.access import Acting, Address, Anybody, Needs, Platform, Tenant
from bailiwick.api.rest.approval_views import DelegationBody, DelegationPage, DelegationView, RulePage, RuleView
from bailiwick.api.rest.approvals import answerer_of
from bailiwick.api.rest.pages import Cursor, Limit, problems
from bailiwick.authority.approvals.delegating import NewDelegation
from bailiwick.authority.approvals.errors import NoApproverError

rules = APIRouter(prefix="/approval-rules", tags=["approvals"])
delegations = APIRouter(prefix="/approval-delegations", tags=["approvals"])

RuleId = Annotated[
    str, Path(max_length=100, description="The rule's id.", examples=["0199b6ff-b66f-7000-8000-000000000041"])
]
DelegationId = Annotated[
    str, Path(max_length=100, description="The delegation's id.", examples=["0199b6ff-b66f-7000-8000-000000000042"])
]


@rules.get("", summary="List remembered rules", responses=problems(404), dependencies=[Needs("approvals:read")])
async def list_approval_rules(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> RulePage:
    """Return what people allowed for good, newest first, revoked rules too."""
    page = await platform.approvals.rules.list(organization.id, limit=limit, cursor=cursor)
    return RulePage.model_validate(page, from_attributes=True)


@rules.delete(
    "/{rule}",
    summary="Revoke a remembered rule",
    responses=problems(403, 404),
    dependencies=[Needs("approvals:answer")],
)
async def revoke_approval_rule(platform: Platform, organization: Tenant, actor: Acting, rule: RuleId) -> RuleView:
    """End a rule: from now on people are asked again."""
    ended = await platform.approvals.rules.revoke(organization.id, rule, actor=actor)
    return RuleView.model_validate(ended, from_attributes=True)


@delegations.get("", summary="List delegations", responses=problems(404), dependencies=[Needs("approvals:read")])
async def list_approval_delegations(
    platform: Platform, organization: Tenant, limit: Limit = 50, cursor: Cursor = None
) -> DelegationPage:
    """Return who answers for whom, newest first, ended delegations too."""
    page = await platform.approvals.delegations.list(organization.id, limit=limit, cursor=cursor)
    return DelegationPage.model_validate(page, from_attributes=True)


@delegations.post(
    "",
    status_code=201,
    summary="Delegate answers",
    responses=problems(403, 404),
    dependencies=[Needs("approvals:answer")],
)
async def make_approval_delegation(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, body: DelegationBody
) -> DelegationView:
    """Let a member answer in the caller's place: for one approval, or until a moment."""
    user_id = answerer_of(caller, address).user_id
    if user_id is None:
        raise NoApproverError("a delegation is a person's: log in, or use the command line for somebody else")
    fields = body.model_dump(exclude={"to_user", "approval_id", "tools"})
    wanted = NewDelegation(
        user_id, str(body.to_user), None if body.approval_id is None else str(body.approval_id), tuple(body.tools),
        **fields,
    )  # fmt: skip
    made = await platform.approvals.delegations.make(organization.id, wanted, actor=caller.actor(address))
    return DelegationView.model_validate(made, from_attributes=True)


@delegations.delete(
    "/{delegation}",
    status_code=204,
    summary="End a delegation",
    responses=problems(403, 404),
    dependencies=[Needs("approvals:answer")],
)
async def revoke_approval_delegation(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, delegation: DelegationId
) -> None:
    """End one of the caller's delegations; an administrator of the installation ends anybody's."""
    only_from = None if caller.is_unbounded_admin else answerer_of(caller, address).user_id
    await platform.approvals.delegations.revoke(
        organization.id, delegation, actor=caller.actor(address), only_from=only_from
    )
