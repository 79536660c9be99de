"""The commands of ``bailiwick privacy`` about what is kept: legal holds and retention."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bailiwick.cli.options import HOME, AsJson, Cursor, Limit, Org
from bailiwick.cli.output import note, print_json, print_more, print_table, screen
from bailiwick.cli.session import operator, with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.privacy.holds import LegalHold
from bailiwick.privacy.policies import RetentionPolicy
from bailiwick.storage.pages import Page

Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the act.")]


def hold(
    *,
    reason: Reason,
    subject: Annotated[str | None, typer.Option("--subject", metavar="SUBJECT", help="Hold one person's data.")] = None,
    data_class: Annotated[str | None, typer.Option("--class", metavar="CLASS", help="Hold one class of data.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="When it ends by itself (UTC).")] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Place a legal hold on a person, a class, or with neither on the organization; it beats erasure and retention."""
    ends = None if until is None else until.replace(tzinfo=UTC)

    async def place(installation: Installation, organization: Organization) -> LegalHold:
        return await installation.privacy.holds.place(
            organization.id, reason=reason, actor=operator(), subject=subject, data_class=data_class, until=ends
        )

    made = with_organization(org, place)
    if as_json:
        print_json(made)
    else:
        screen().print(made.id)


def holds(limit: Limit = 50, cursor: Cursor = None, org: Org = HOME, as_json: AsJson = False) -> None:
    """List legal holds, released ones too."""

    async def read(installation: Installation, organization: Organization) -> Page[LegalHold]:
        return await installation.privacy.holds.list(organization.id, limit=limit, cursor=cursor)

    page = with_organization(org, read)
    if as_json:
        print_json(page)
        return
    print_table(
        ("id", "on", "target", "placed", "until", "released", "reason"),
        ((h.id, h.scope, h.target, h.placed_at, h.until, h.released_at, h.reason) for h in page.items),
        empty="no legal holds",
    )
    print_more(page)


def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold, by its id.")],
    reason: Reason,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Release a legal hold."""

    async def end(installation: Installation, organization: Organization) -> LegalHold:
        return await installation.privacy.holds.release(organization.id, hold_id, reason=reason, actor=operator())

    released = with_organization(org, end)
    if as_json:
        print_json(released)
    else:
        note(f"released {released.id}", style="")


def retention(
    data_class: Annotated[str | None, typer.Argument(metavar="[CLASS]", help="The class to set.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Keep it that long.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Go back to the default.")] = False,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Show how long each class of data is kept, or set it; system.retain acts on it every night."""
    if data_class is not None and default == (days is not None):
        raise InvalidInputError("say --days N or --default for the class")

    async def read(installation: Installation, organization: Organization) -> tuple[RetentionPolicy, ...]:
        if data_class is not None:
            await installation.privacy.policies.set(organization.id, data_class, days, actor=operator())
        return await installation.privacy.policies.list(organization.id)

    policies = with_organization(org, read)
    if as_json:
        print_json({"items": list(policies)})
        return
    print_table(
        ("class", ">days", "set by", "what"),
        (
            (one.name, one.days or "as the installation", "default" if one.is_default else "organization", one.about)
            for one in policies
        ),
        empty="",
    )
