"""Assembles the commands. A command's module is imported when the command is used, so that help is instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bailiwick import __version__

_RUN = "Run"
_BRING_IN = "Bring work in"
_SEE = "See and steer"
_KEEP = "Keep it going"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, under which heading help shows it, and what it does in one line."""

    module: str
    panel: str
    summary: str


# The order is that of the help page. Each module has an ``app``.
COMMANDS: Mapping[str, Entry] = {
    "up": Entry("bailiwick.cli.up", _RUN, "Run the platform: database, API, scheduler and a worker."),
    "worker": Entry("bailiwick.cli.worker", _RUN, "Run one more worker, here or on another machine."),
    "demo": Entry("bailiwick.cli.demo", _RUN, "Let the agents work on an invented company and watch."),
    "import": Entry("bailiwick.cli.importing", _BRING_IN, "Bring in issues or meter readings from files."),
    "rejected": Entry("bailiwick.cli.rejected", _BRING_IN, "Look at records that were refused; mend and redrive them."),
    "connect": Entry("bailiwick.cli.connect", _BRING_IN, "Connect a GitHub repository; list and remove connections."),
    "submit": Entry("bailiwick.cli.submit", _BRING_IN, "Add one task."),
    "tasks": Entry("bailiwick.cli.tasks", _SEE, "List, show, cancel, pause, resume, redrive and fork tasks."),
    "agents": Entry("bailiwick.cli.agents", _SEE, "List, show, create, enable and disable agents."),
    "effects": Entry("bailiwick.cli.effects", _SEE, "List and show effects; settle unknown ones."),
    "tools": Entry("bailiwick.cli.tools", _SEE, "List what agents can do outside."),
    "events": Entry("bailiwick.cli.events", _SEE, "List, show and follow events."),
    "issues": Entry("bailiwick.cli.issues", _SEE, "List, show and release issues."),
    "trace": Entry("bailiwick.cli.trace", _SEE, "Show everything that followed from an event, task or issue."),
    "why": Entry("bailiwick.cli.why", _SEE, "Explain why something happened, or why it did not."),
    "run": Entry("bailiwick.cli.run", _SEE, "Export one run to a file, step through it, keep it as a test."),
    "rehearse": Entry("bailiwick.cli.rehearse", _SEE, "Try a policy, level or agent on what really happened."),
    "schedules": Entry("bailiwick.cli.schedules", _SEE, "List, add, pause, resume, run and remove schedules."),
    "limits": Entry("bailiwick.cli.limits", _SEE, "Bound or stop an organization, a kind or an agent."),
    "approvals": Entry("bailiwick.cli.approval_rules", _SEE, "List, show and answer approvals; delegate; remember."),
    "policy": Entry("bailiwick.cli.policy", _SEE, "Show, test and put in force what agents may do."),
    "rewind": Entry("bailiwick.cli.rewind", _SEE, "Take back what a run did, the newest first."),
    "outcomes": Entry("bailiwick.cli.outcomes", _SEE, "List what was expected and found; report what worked."),
    "autonomy": Entry("bailiwick.cli.autonomy", _SEE, "See and set how far agents may go; confirm promotions."),
    "budgets": Entry("bailiwick.cli.budgets", _SEE, "Bound the money and tokens that agents and runs spend."),
    "backtest": Entry("bailiwick.cli.backtest", _SEE, "Score the agents' decisions against closed issues."),
    "orgs": Entry("bailiwick.cli.orgs", _KEEP, "List, create and set up organizations."),
    "users": Entry("bailiwick.cli.users", _KEEP, "List, create and disable users; make links to get in."),
    "members": Entry("bailiwick.cli.members", _KEEP, "Say who belongs to an organization, in which role; invite."),
    "factors": Entry("bailiwick.cli.factors", _KEEP, "Second factors of people; which roles need one."),
    "identity-providers": Entry(
        "bailiwick.cli.identity_providers", _KEEP, "Log in with Google, Microsoft, GitHub or any OpenID Connect server."
    ),
    "keys": Entry("bailiwick.cli.keys", _KEEP, "List, create and revoke API keys; rotate the signing key."),
    "service-accounts": Entry(
        "bailiwick.cli.service_accounts", _KEEP, "List, create, disable and remove programs' accounts."
    ),
    "sessions": Entry("bailiwick.cli.sessions", _KEEP, "List who is logged in; end sessions and tokens."),
    "audit": Entry("bailiwick.cli.audit", _KEEP, "List, export and verify the audit log; see alarms."),
    "privacy": Entry("bailiwick.cli.privacy", _KEEP, "Consents; copies and erasure of people's data; legal holds."),
    "backup": Entry("bailiwick.cli.backup", _KEEP, "Make, list and prove backups."),
    "restore": Entry("bailiwick.cli.restore", _KEEP, "Bring back a backup, or a moment in time."),
    "quotas": Entry("bailiwick.cli.quotas", _KEEP, "Show and set plans, quotas and rates of organizations."),
    "usage": Entry("bailiwick.cli.usage", _KEEP, "Show and export what organizations used, for billing."),
    "vault": Entry("bailiwick.cli.vault", _KEEP, "Look at the keys that seal secrets; rotate and destroy them."),
    "doctor": Entry("bailiwick.cli.doctor", _KEEP, "Check everything the platform needs, with the next step."),
    "bench": Entry("bailiwick.bench.command", _KEEP, "Measure speed and memory."),
}


def load(name: str) -> Any:
    """Return the command of that name, ready to run."""
    module = import_module(COMMANDS[name].module)
    # Completion belongs to the program, not to each of its commands.
    module.app._add_completion = False
    command = get_command(module.app)
    command.name = name
    return command


class _Commands(TyperGroup):
    """Shows the table above; imports a command only when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command as usual, then put the real one in the place of its entry."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name is not None else command, rest


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"bailiwick {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    name="bailiwick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Every listing takes --json. Exit codes: 0 done, 1 failed, 2 wrong use or refused input, "
    "75 something is down and the same call may succeed later, 130 stopped by Ctrl-C.",
)


@app.callback()
def bailiwick(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs; may stand anywhere.")] = False,
) -> None:
    """Agents that run an organization's operations inside the authority people gave them."""
    # Both are dealt with elsewhere: the version by its callback, --debug by main.run.
    del version, debug


def _entry() -> None:
    """Hold a place in the help page."""


for _name, _about in COMMANDS.items():
    app.command(_name, help=_about.summary, rich_help_panel=_about.panel)(_entry)
