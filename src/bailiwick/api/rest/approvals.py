"""Approvals: what waits for people, and their answers."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from bailiwick.api.access import Acting, Address, Anybody, Needs, Platform, Tenant
from bailiwick.api.rest.approval_views import (
    AnswerBody,
    AnsweredView,
    ApprovalDetail,
    ApprovalPage,
    EditBody,
    LinkBody,
    LinkView,
    RedeemBody,
    RedeemedView,
    RuleBody,
    RuleView,
    SignedRuleBody,
    StatementBody,
    detail_of,
    view_of,
)
from bailiwick.api.rest.factors import PasskeyOptionsView, options_view
from bailiwick.api.rest.pages import Cursor, Limit, problems
from bailiwick.authority.approvals import Answerer, ApprovalState
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.identity import Caller

router = APIRouter(prefix="/approvals", tags=["approvals"])

ApprovalId = Annotated[
    str, Path(max_length=100, description="The approval's id.", examples=["0199b6ff-b66f-7000-8000-000000000040"])
]
State = Annotated[
    ApprovalState | None, Query(description="Only those that stand there; none for all.", examples=["waiting"])
]


def answerer_of(caller: Caller, address: str | None) -> Answerer:
    """Return the person behind a request: a user, or whoever a key belongs to.

    Raises:
        NoApproverError: a program asks, and programs answer no approvals.
    """
    actor = caller.actor(address)
    if actor.person is None:
        raise NoApproverError("approvals are answered by people, and this key is nobody's; log in, or use your own key")
    return Answerer(actor, actor.user_id, "api")


@router.get("", summary="List approvals", responses=problems(404), dependencies=[Needs("approvals:read")])
async def list_approvals(
    platform: Platform, organization: Tenant, state: State = None, limit: Limit = 50, cursor: Cursor = None
) -> ApprovalPage:
    """Return approvals, newest first, each with all that its answerer has to see."""
    page = await platform.approvals.list(organization.id, state=state, limit=limit, cursor=cursor)
    return ApprovalPage(items=[view_of(one) for one in page.items], next_cursor=page.next_cursor)


@router.post("/links/redeem", summary="Follow a link", responses=problems(403, 422))
async def redeem_approval_link(platform: Platform, caller: Anybody, address: Address, body: RedeemBody) -> RedeemedView:
    """Use a link up, as the logged-in person it was made for, and say which approval it leads to; answers nothing."""
    if caller.kind != "user":
        raise NoApproverError("a link is for a person: log in, then open it")
    found = await platform.approvals.links.redeem(body.token.get_secret_value(), caller.id, actor=caller.actor(address))
    return RedeemedView.model_validate(found, from_attributes=True)


@router.get("/{approval}", summary="Get an approval", responses=problems(404), dependencies=[Needs("approvals:read")])
async def get_approval(platform: Platform, organization: Tenant, approval: ApprovalId) -> ApprovalDetail:
    """Return one approval, its answers, and who may answer it now."""
    found = await platform.approvals.get(organization.id, approval)
    answers = await platform.approvals.answers(organization.id, found.id)
    voters = await platform.approvals.electorate(organization.id, found.id)
    return detail_of(found, answers, voters)


@router.post(
    "/{approval}/answer",
    summary="Approve or reject",
    responses=problems(401, 403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def answer_approval(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, approval: ApprovalId,
    body: AnswerBody,
) -> AnsweredView:  # fmt: skip
    """Say yes or no to exactly what was seen, named by its digest.

    An account with a passkey signs its answer: ask for options by `signature` first.
    """
    answered = await platform.approvals.answer(
        organization.id, approval, body.saying(), answerer_of(caller, address), signature=body.signed()
    )
    return AnsweredView.model_validate(answered, from_attributes=True)


@router.post(
    "/{approval}/edit",
    summary="Ask for other arguments",
    responses=problems(401, 403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def edit_approval(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, approval: ApprovalId,
    body: EditBody,
) -> AnsweredView:  # fmt: skip
    """Put other arguments in the place of those asked about; a fresh proposal of them is asked about anew.

    The arguments must fit the tool. Earlier answers count no more.
    """
    answered = await platform.approvals.answer(
        organization.id, approval, body.saying(), answerer_of(caller, address), signature=body.signed()
    )
    return AnsweredView.model_validate(answered, from_attributes=True)


@router.post(
    "/{approval}/signature",
    summary="Begin to sign an answer",
    responses=problems(403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def sign_approval(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, approval: ApprovalId,
    body: StatementBody,
) -> PasskeyOptionsView:  # fmt: skip
    """Return what a browser needs to sign exactly this answer with the caller's passkey."""
    return options_view(
        await platform.approvals.begin_signature(organization.id, approval, body.saying(), answerer_of(caller, address))
    )


@router.post(
    "/{approval}/rule",
    status_code=201,
    summary="Always allow this",
    responses=problems(401, 403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def remember_approval(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, approval: ApprovalId,
    body: SignedRuleBody,
) -> RuleView:  # fmt: skip
    """Allow from now on what the caller approved: the tool, for the target, up to a price.

    Never what cannot be undone, holds words from outside, or needs several people.
    """
    rule = await platform.approvals.remember(
        organization.id, approval, body.rule(), answerer_of(caller, address), signature=body.signed()
    )
    return RuleView.model_validate(rule, from_attributes=True)


@router.post(
    "/{approval}/rule/signature",
    summary="Begin to sign a rule",
    responses=problems(403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def sign_approval_rule(
    platform: Platform, organization: Tenant, caller: Anybody, *, address: Address, approval: ApprovalId,
    body: RuleBody,
) -> PasskeyOptionsView:  # fmt: skip
    """Return what a browser needs to sign exactly this rule with the caller's passkey."""
    found = await platform.approvals.get(organization.id, approval)
    return options_view(await platform.approvals.begin_rule_signature(found, body.rule(), answerer_of(caller, address)))


@router.post(
    "/{approval}/links",
    status_code=201,
    summary="Make a link",
    responses=problems(403, 404, 409),
    dependencies=[Needs("approvals:answer")],
)
async def make_approval_link(
    platform: Platform, organization: Tenant, actor: Acting, *, approval: ApprovalId, body: LinkBody
) -> LinkView:
    """Make a link for a person who may answer: good once, for a day at most, and only for that person logged in."""
    link = await platform.approvals.links.make(organization.id, approval, str(body.user_id), actor=actor)
    return LinkView.model_validate(link, from_attributes=True)
