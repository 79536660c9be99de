"""``bailiwick quotas``: plans, quotas and rates of organizations."""

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, cast

import typer

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_json, print_table
from bailiwick.cli.session import with_installation, with_organization
from bailiwick.identity import Organization
from bailiwick.identity.model import MACHINE
from bailiwick.identity.quotas import Bound, Plan, QuotaView, Rate, Resource, Scope
from bailiwick.identity.quotas.metering import plain_amount
from bailiwick.identity.quotas.model import checked_resource
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True)
plans = typer.Typer(no_args_is_help=True)
app.add_typer(plans, name="plans")

_ACTOR = MACHINE.actor()
_Show = Callable[[Installation, Organization], Awaitable[QuotaView]]

ResourceName = Annotated[
    str,
    typer.Argument(metavar="RESOURCE", help="api_calls, tasks, agents, storage_bytes or model_spend."),
]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name.")]
Soft = Annotated[str | None, typer.Option("--soft", metavar="N", help="Reaching this is told by an event.")]
Hard = Annotated[str | None, typer.Option("--hard", metavar="N", help="Beyond this is refused.")]


@app.callback()
def quotas() -> None:
    """Show and set what organizations may use; make plans."""


@app.command()
def show(org: Org = HOME, as_json: AsJson = False) -> None:
    """Show an organization's plan, its quotas with what is used of them, and its rates."""
    _shown(org, lambda platform, organization: platform.quotas.show(organization.id), as_json=as_json)


@app.command("set")
def set_quota(
    resource: ResourceName, *, soft: Soft = None, hard: Hard = None, org: Org = HOME, as_json: AsJson = False
) -> None:
    """Bound a resource of one organization; without a limit what the plan says is lifted."""
    bound = Bound(_amount(soft), _amount(hard))
    _shown(
        org,
        lambda platform, organization: platform.quotas.set(organization.id, resource, bound, actor=_ACTOR),
        as_json=as_json,
    )


@app.command()
def reset(resource: ResourceName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Return a resource of one organization to what its plan says."""
    _shown(
        org,
        lambda platform, organization: platform.quotas.set(organization.id, resource, None, actor=_ACTOR),
        as_json=as_json,
    )


@app.command()
def rate(
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="key, user (each of them) or organization (all).")],
    *,
    per_minute: Annotated[int | None, typer.Option("--per-minute", min=1, help="Requests per minute.")] = None,
    burst: Annotated[int | None, typer.Option("--burst", min=1, help="Requests at once; else as per minute.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No limit.")] = False,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Set how fast an organization may ask the API; without options it returns to its plan."""
    wanted: Rate | Literal["unlimited"] | None = "unlimited" if unlimited else None
    if per_minute is not None:
        wanted = Rate(per_minute, burst or per_minute)
    elif burst is not None:
        raise InvalidInputError("--burst means nothing without --per-minute; give both")
    _shown(
        org,
        lambda platform, organization: platform.quotas.set_rate(
            organization.id, cast("Scope", scope), wanted, actor=_ACTOR
        ),
        as_json=as_json,
    )


@app.command()
def assign(plan: PlanName, org: Org = HOME, as_json: AsJson = False) -> None:
    """Put an organization on a plan; what is set for it alone stays."""
    _shown(
        org,
        lambda platform, organization: platform.quotas.assign(organization.id, plan, actor=_ACTOR),
        as_json=as_json,
    )


@plans.callback()
def plans_of_the_installation() -> None:
    """List, make and remove plans."""


@plans.command("list")
def list_plans(as_json: AsJson = False) -> None:
    """List all plans."""
    found = with_installation(lambda platform: platform.plans.list())
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    print_table(
        ("name", "quotas", "rates per minute", "description"),
        ((plan.name, _quotas_text(plan) or "none", _rates_text(plan.rates), plan.description) for plan in found),
        empty="no plans",
    )


@plans.command("set")
def set_plan(
    name: PlanName,
    *,
    quota: Annotated[
        list[str] | None,
        typer.Option("--quota", metavar="RESOURCE=SOFT:HARD", help="A quota; either number may be missing. Repeat it."),
    ] = None,
    speed: Annotated[
        list[str] | None,
        typer.Option("--rate", metavar="SCOPE=PER_MINUTE[:BURST]", help="A rate, or SCOPE=unlimited. Repeat it."),
    ] = None,
    description: Annotated[str, typer.Option("--description", help="For people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a plan or replace it whole; organizations on it are bound by it at once."""
    bounds = dict(_quota_option(text) for text in quota or [])
    rates = dict(_rate_option(text) for text in speed or [])

    async def put(platform: Installation) -> Plan:
        return await platform.plans.put(name, description=description, quotas=bounds, rates=rates, actor=_ACTOR)

    made = with_installation(put)
    if as_json:
        print_json(made)
    else:
        note(f"plan {made.name}: {_quotas_text(made) or 'no quotas'}", style="")


@plans.command("remove")
def remove_plan(name: PlanName, as_json: AsJson = False) -> None:
    """Remove a plan that no organization has."""
    with_installation(lambda platform: platform.plans.remove(name, actor=_ACTOR))
    if as_json:
        print_json({"removed": name})
    else:
        note(f"removed plan {name}", style="")


def _shown(org: str, work: _Show, *, as_json: bool) -> None:
    view = with_organization(org, work)
    if as_json:
        print_json(view)
        return
    note(f"plan {view.plan}; requests per minute: {_rates_text(view.rates)}", style="")
    print_table(
        ("resource", ">used", ">soft", ">hard", "set by", "counted", "state"),
        (
            (
                item.resource, plain_amount(item.used), _number(item.soft), _number(item.hard), item.origin,
                "at this moment" if item.month is None else f"in {item.month:%Y-%m}",
                "" if item.state == "below" else f"{item.state} limit reached",
            )
            for item in view.quotas
        ),
        empty="nothing",
    )  # fmt: skip


def _quota_option(text: str) -> tuple[Resource, Bound]:
    name, equals, limits = text.partition("=")
    if not equals:
        raise InvalidInputError(f"{text!r}: write --quota RESOURCE=SOFT:HARD, for example tasks=8000:10000")
    soft, colon, hard = limits.partition(":")
    if not colon:
        soft, hard = "", limits
    return checked_resource(name), Bound(_amount(soft or None), _amount(hard or None))


def _rate_option(text: str) -> tuple[Scope, Rate | None]:
    scope, _, speed = text.partition("=")
    if speed == "unlimited":
        return cast("Scope", scope), None
    per_minute, _, burst = speed.partition(":")
    try:
        return cast("Scope", scope), Rate(int(per_minute), int(burst or per_minute))
    except ValueError as error:
        raise InvalidInputError(f"{text!r}: write --rate SCOPE=PER_MINUTE:BURST, for example key=600:120") from error


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text.replace("_", "").replace(",", ""))
    except InvalidOperation as error:
        raise InvalidInputError(f"{text!r} is no number") from error


def _number(amount: Decimal | None) -> str | None:
    return None if amount is None else plain_amount(amount)


def _quotas_text(plan: Plan) -> str:
    return ", ".join(
        f"{resource} {_number(bound.soft) or '-'}:{_number(bound.hard) or '-'}"
        for resource, bound in plan.quotas.items()
    )


def _rates_text(rates: Any) -> str:
    return ", ".join(
        f"{scope} {'unlimited' if rate is None else f'{rate.per_minute:,} (burst {rate.burst:,})'}"
        for scope, rate in rates.items()
    )
