"""More of ``bailiwick approvals``: what is answered ahead by rules, and by whom instead."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from bailiwick.authority.approvals import Answerer
from bailiwick.authority.approvals.delegating import Delegation, NewDelegation
from bailiwick.authority.approvals.linking import Link
from bailiwick.authority.approvals.remembering import NewRule, RememberedRule
from bailiwick.cli.approvals import ApprovalId, Reason, app
from bailiwick.cli.legible import legible
from bailiwick.cli.moments import parse_expiry
from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.cli.values import amount
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.storage.pages import Page

MaxPrice = Annotated[str | None, typer.Option("--max-price", metavar="AMOUNT", help="Up to this price of one effect.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Its end: 90d, 12h, or a moment in ISO 8601.")
]


@app.command()
def rules(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List remembered rules, newest first, revoked ones too."""

    async def read(platform: Installation, organization: Organization) -> Page[RememberedRule]:
        return await platform.approvals.rules.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "name", "tool", "target", ">up to", "agent", "bounds", "made by", "ends", "revoked"),
        (
            (
                one.id, legible(one.name), one.tool, legible(one.target), one.max_price, one.agent_id or "every",
                one.bounds or None, legible(one.made_by_name), one.ends_at,
                one.revoked_at,
            )
            for one in page.items
        ),
        empty="nothing is remembered; people are asked each time",
    )  # fmt: skip
    print_more(page)


@app.command()
def remember(
    approval_id: ApprovalId,
    org: Org = HOME,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What to call the rule.")] = None,
    max_price: MaxPrice = None,
    bounds: Annotated[
        str, typer.Option("--bounds", metavar="JSON", help='Limits of arguments: {"amount": {"max": 100}}.')
    ] = "{}",
    any_agent: Annotated[bool, typer.Option("--any-agent", help="Not only for the agent that asked.")] = False,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Always allow what you approved here: this tool, for this target, up to a price."""
    limits = decode(bounds)
    if not isinstance(limits, dict) or not all(isinstance(one, dict) for one in limits.values()):
        raise InvalidInputError('--bounds is one JSON object of objects, such as {"amount": {"max": 100}}')
    rule = NewRule(name, _amount(max_price), limits, any_agent, None if until is None else parse_expiry(until))

    async def make(platform: Installation, organization: Organization) -> RememberedRule:
        return await platform.approvals.remember(organization.id, approval_id, rule, Answerer(operator(), None, "cli"))

    made = with_organization(org, make)
    if as_json:
        print_json(made)
    else:
        up_to = f"is allowed up to {amount(made.max_price)}"
        note(f"{made.tool} on {legible(made.target)} {up_to}; rule {legible(made.name)}", style="")


@app.command()
def revoke(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's name or id.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Revoke a remembered rule; people are asked again from now on."""

    async def end(platform: Installation, organization: Organization) -> RememberedRule:
        return await platform.approvals.rules.revoke(organization.id, rule, actor=operator())

    ended = with_organization(org, end)
    if as_json:
        print_json(ended)
    else:
        note(f"revoked {legible(ended.name)}; people are asked again", style="")


@app.command()
def delegate(
    from_person: Annotated[str, typer.Option("--from", metavar="PERSON", help="Whose answer it is: email or id.")],
    to_person: Annotated[str, typer.Option("--to", metavar="PERSON", help="Who gives it: email or id.")],
    org: Org = HOME,
    *,
    approval: Annotated[
        str | None, typer.Option("--approval", metavar="APPROVAL_ID", help="For this approval only.")
    ] = None,
    until: Until = None,
    tool: Annotated[
        list[str] | None, typer.Option("--tool", metavar="NAME", help="For this tool only; may be given repeatedly.")
    ] = None,
    max_price: MaxPrice = None,
    may_edit: Annotated[bool, typer.Option("--may-edit", help="Let the delegate edit arguments, too.")] = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Let one member answer for another, for one approval or for a time."""
    ends = None if until is None else parse_expiry(until)

    async def make(platform: Installation, organization: Organization) -> Delegation:
        giver = await platform.memberships.get(organization.id, from_person)
        taker = await platform.memberships.get(organization.id, to_person)
        wanted = NewDelegation(
            giver.user_id, taker.user_id, approval, tuple(tool or ()), _amount(max_price), may_edit, ends_at=ends,
            reason=reason,
        )  # fmt: skip
        return await platform.approvals.delegations.make(organization.id, wanted, actor=operator())

    made = with_organization(org, make)
    if as_json:
        print_json(made)
    else:
        note(f"{to_person} answers for {from_person}; end it with: bailiwick approvals undelegate {made.id}", style="")


@app.command()
def delegations(org: Org = HOME, limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List who answers for whom, newest first, ended delegations too."""

    async def read(platform: Installation, organization: Organization) -> Page[Delegation]:
        return await platform.approvals.delegations.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "from", "to", "approval", "tools", ">up to", "edits", "ends", "revoked"),
        (
            (
                one.id, one.from_user, one.to_user, one.approval_id, ", ".join(one.tools) or "all", one.max_price,
                "yes" if one.may_edit else "no", one.ends_at, one.revoked_at,
            )
            for one in page.items
        ),
        empty="nobody answers for somebody else",
    )  # fmt: skip
    print_more(page)


@app.command()
def undelegate(
    delegation: Annotated[str, typer.Argument(metavar="DELEGATION_ID", help="The delegation.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """End a delegation; answers that were given stay."""

    async def end(platform: Installation, organization: Organization) -> None:
        await platform.approvals.delegations.revoke(organization.id, delegation, actor=operator())

    with_organization(org, end)
    if as_json:
        print_json({"ended": delegation})
    else:
        note(f"ended {delegation}", style="")


@app.command()
def link(
    approval_id: ApprovalId,
    person: Annotated[str, typer.Option("--for", metavar="PERSON", help="Who may answer: email or id.")],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Make a link's token for a person: good once, for a day at most, and only for that person logged in."""

    async def make(platform: Installation, organization: Organization) -> Link:
        member = await platform.memberships.get(organization.id, person)
        return await platform.approvals.links.make(organization.id, approval_id, member.user_id, actor=operator())

    made = with_organization(org, make)
    if as_json:
        print_json(made)
    else:
        note("the token is shown only now; opening it answers nothing:")
        screen().print(made.token, soft_wrap=True)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise InvalidInputError(f"{text!r} is no amount; write it like 12.50") from error
    if not amount.is_finite():
        raise InvalidInputError(f"{text!r} is no amount; write it like 12.50")
    return amount
