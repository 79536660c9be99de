"""``bailiwick budgets``: how much may be spent, by whom, and what happens at the limit."""

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, cast

import typer

from bailiwick.authority.budgets import DEFAULT_LADDER, Account, Budget, NewBudget, Rung
from bailiwick.authority.budgets.model import Held, Period, Scope, Unit, parsed_rung, plain
from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_facts, print_json, print_table
from bailiwick.cli.session import operator, with_organization
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The budget's name.")]
_LADDER = " ".join(f"{plain(rung.at)}:{rung.do}" for rung in DEFAULT_LADDER)


@app.callback()
def budgets() -> None:
    """Bound the money and the tokens that an organization, its agents and its runs spend."""


@app.command("list")
def list_budgets(org: Org = HOME, as_json: AsJson = False) -> None:
    """List all budgets with what is spent of them in the present period."""

    async def read(platform: Installation, organization: Organization) -> tuple[list[Budget], list[Account]]:
        found = await platform.budgets.list(organization.id)
        return found, await platform.budgets.accounts(organization.id, limit=10_000)

    found, accounts = with_organization(org, read)
    if as_json:
        print_json({"items": [_document(one) for one in found], "next_cursor": None})
        return
    print_table(
        ("name", "bounds", "unit", "each", ">amount", ">used", ">most used by one", "ladder"),
        (_row(one, [account for account in accounts if account.budget == one.name]) for one in found),
        empty="no budgets here; make one: bailiwick budgets set daily --amount 50 --period day",
    )


@app.command()
def show(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Show a budget, what is reserved and spent of it, and what is reserved for what."""

    async def read(
        platform: Installation, organization: Organization
    ) -> tuple[Budget, list[Account], list[Held], dict[str, str]]:
        found = await platform.budgets.get(organization.id, name)
        accounts = await platform.budgets.accounts(organization.id, name=name)
        names = await _agent_names(platform, organization, found, accounts)
        return found, accounts, await platform.budgets.held(organization.id, name=name), names

    found, accounts, held, names = with_organization(org, read)
    if as_json:
        print_json({**_document(found), "accounts": accounts, "held": held})
        return
    print_facts({**_document(found), "ladder": _ladder(found)}.items())
    print_table(
        ("holder", ">reserved", ">settled", ">left", "ends"),
        (
            (names.get(one.holder, one.holder), plain(one.reserved), plain(one.settled),
             plain(one.amount - one.used), one.ends_at)
            for one in accounts
        ),
        empty="nothing is reserved or spent in this period",
    )  # fmt: skip
    print_table(
        ("reserved for", "run", ">amount", "since"),
        ((one.key, one.task_id, plain(one.amount), one.reserved_at) for one in held),
        empty="no call is under way",
    )


@app.command("set")
def set_budget(
    name: Name,
    *,
    amount: Annotated[str, typer.Option("--amount", metavar="N", help="How much.")],
    unit: Annotated[str, typer.Option("--unit", help="money or tokens.")] = "money",
    scope: Annotated[str, typer.Option("--scope", help="organization, agent or run.")] = "organization",
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="ID", help="The one agent (name or id) or run; else each of them."),
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="day or month; a run's budget is for its life.")
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone in which days and months begin.")] = "UTC",
    rung: Annotated[
        list[str] | None,
        typer.Option("--rung", metavar="SHARE:DO", help=f"tell, ask or stop from a share on. Repeat it. [{_LADDER}]"),
    ] = None,
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Make a budget or replace it whole; what was spent before in the period counts."""
    ladder: tuple[Rung, ...] = tuple(parsed_rung(text) for text in rung) if rung else DEFAULT_LADDER
    within = period or ("life" if scope == "run" else "day")

    async def change(platform: Installation, organization: Organization) -> Budget:
        # People know an agent by its name, budgets know it by its id.
        named = subject
        if subject is not None and scope == "agent":
            named = (await platform.directory.get(organization.id, subject)).id
        wanted = NewBudget(
            name, cast("Scope", scope), cast("Unit", unit), _amount(amount), cast("Period", within), named, zone, ladder
        )
        return await platform.budgets.set(organization.id, wanted, actor=operator())

    made = with_organization(org, change)
    if as_json:
        print_json(_document(made))
    else:
        note(f"set: {made.name}, {plain(made.amount)} {made.unit} {_each(made)}; {_ladder(made)}", style="")


@app.command()
def remove(name: Name, org: Org = HOME, as_json: AsJson = False) -> None:
    """Remove a budget; it bounds nothing from now on."""
    with_organization(
        org, lambda platform, organization: platform.budgets.remove(organization.id, name, actor=operator())
    )
    if as_json:
        print_json({"removed": name})
    else:
        note(f"removed: {name}", style="")


async def _agent_names(
    platform: Installation, organization: Organization, budget: Budget, accounts: list[Account]
) -> dict[str, str]:
    if budget.scope != "agent" or not accounts:
        return {}
    return {agent.id: agent.name for agent in (await platform.directory.list(organization.id, limit=500)).items}


def _row(budget: Budget, accounts: list[Account]) -> tuple[object, ...]:
    used = [account.used for account in accounts]
    most = plain(max(used)) if used and budget.scope != "organization" else None
    return (
        budget.name, budget.scope if budget.subject is None else f"{budget.scope} {budget.subject}", budget.unit,
        _each(budget), plain(budget.amount), plain(sum(used, Decimal(0))), most, _ladder(budget),
    )  # fmt: skip


def _document(budget: Budget) -> dict[str, Any]:
    document = asdict(budget)
    return {**document, "amount": plain(budget.amount), "ladder": _ladder(budget).split()}


def _each(budget: Budget) -> str:
    if budget.period == "life":
        return "a run"
    return f"a {budget.period}" if budget.zone == "UTC" else f"a {budget.period} in {budget.zone}"


def _ladder(budget: Budget) -> str:
    return " ".join(f"{plain(rung.at)}:{rung.do}" for rung in budget.ladder)


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text.replace("_", "").replace(",", ""))
    except InvalidOperation as error:
        raise InvalidInputError(f"{text!r} is no number; write it like 50 or 12.50") from error
