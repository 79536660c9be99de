"""What the demo prints when the agents are idle: what happened, what is worth a look, what to try next."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailiwick.cli.output import duration
from bailiwick.demo.effects import EffectsSeen
from bailiwick.demo.pulse import Pulse
from bailiwick.demo.running import DemoRun
from bailiwick.demo.story import ORDERS_RULE, Story
from bailiwick.packs.operations.blocked import BlockedBecause, Family

_REASONS = 3


def print_summary(console: Console, run: DemoRun, pulse: Pulse, *, is_idle: bool) -> None:
    """Print the figures of a run."""
    events = sum(pulse.events.values())
    verb = "idle after" if is_idle else "not idle after"
    console.print(
        Text.assemble(
            (f"{run.organization.name}: ", "bold"),
            f"{events:,} events, {pulse.finished:,} of {pulse.total:,} tasks ended, {verb} {run.seconds:.1f} s\n",
        )
    )
    table = Table(box=None, header_style="bright_black", pad_edge=False)
    for name in ("agent", "kind"):
        table.add_column(name, no_wrap=True)
    for name in ("tasks", "completed", "p50", "p95"):
        table.add_column(name, justify="right")
    for agent in pulse.agents:
        completed = f"{agent.completed / agent.done:.0%}" if agent.done else "-"
        table.add_row(
            agent.name, agent.kind, str(agent.done), completed, duration(agent.p50_seconds), duration(agent.p95_seconds)
        )
    console.print(table)
    statuses = ", ".join(f"{n} {status}" for status, n in pulse.issues["status"].items() if n)
    console.print(f"\nissues     {statuses}")
    for line in blocked_lines(pulse.blocked):
        console.print(f"           {line}")
    sla = pulse.sla
    console.print(f"deadlines  {sla.met} met, {sla.breached} missed, {sla.running} running")
    console.print(f"refused    {pulse.rejected} records{_reasons(run)}")
    if pulse.movement.parked:
        console.print(f"waiting    {pulse.movement.parked} tasks wait for a person or an event")
    if pulse.movement.later:
        console.print(f"later      {pulse.movement.later} tasks have a later time, such as looks whether it worked")
    print_effects(console, pulse.effects)


def print_effects(console: Console, effects: EffectsSeen) -> None:
    """Print what became of effects, each count for itself, and every rule that refused some."""
    console.print("\n[bold]Outside[/] (at the forge that stands in for GitHub; each line counts for itself)\n")
    told = (
        ("proposed", effects.proposed, "by the agents, each with a reason and a decision"),
        ("waiting for approval", effects.waiting_for_approval, "until a person says yes or no"),
        ("applied", effects.applied, "sent, once"),
        ("verified", effects.verified, "looked at afterwards, and there"),
        ("denied", effects.denied, "by a rule or for want of a way"),
        ("failed", effects.failed, "refused by the forge"),
        ("unknown", effects.unknown, "a person has to look"),
    )
    for name, count, meaning in told:
        if count or name not in ("failed", "unknown"):
            console.print(Text.assemble(f"  {name:<21}", (f"{count:>4}", "bold"), (f"  {meaning}", "bright_black")))
    for refusal in effects.refusals:
        head = Text.assemble("\n  refused by ", (refusal.rule, "bold red"), f", {refusal.count} times")
        console.print(head.append(f", such as {refusal.target.removeprefix('issue:')}: {refusal.reason}"))


def print_next_steps(
    console: Console,
    run: DemoRun,
    story: Story,
    folder: Path,
    *,
    effects: EffectsSeen,
    url: str | None = None,
    key: str | None = None,
) -> None:
    """Print commands that show the most interesting of this run."""
    program = program_name()
    org = f"--org {run.organization.slug}"
    console.print(
        "\n[bold]Try next[/] (in another terminal; what is exported points there at the demo's own data and forge)\n"
    )
    lines: list[tuple[str, str]] = [(f"export BAILIWICK_DATA_DIR={shlex.quote(str(folder.absolute()))}", "")]
    if url is not None:
        # What takes something back looks at the forge first, from the terminal where it is asked for.
        lines.append((f"export BAILIWICK_OUTBOUND_ALLOWED={run.installation.settings.outbound_allowed}", ""))
    for highlight in story.highlights():
        about = f"{why} " if (why := story.title(highlight.key)) else ""
        lines.append((f"{program} trace '{highlight.key}' {org}", f"{about}({highlight.why})"))
    lines += _effect_commands(program, org, effects, is_served=url is not None)
    if url is not None:
        lines += _rewind_commands(program, org, effects)
    lines += [
        (f"{program} agents list {org}", "who did what, how well, how fast"),
        (f"{program} rejected list {org}", "records nobody could read, and why"),
        (f"{program} backtest {org}", "the decisions against closed issues"),
    ]
    if url and key:
        lines.append((f"curl -H 'Authorization: Bearer {key}' {url}/api/v1/organizations", "the API, with its key"))
    _print_commands(console, lines)
    console.print(
        "\n[bold]Your own[/] (in a new terminal, or after: unset BAILIWICK_DATA_DIR BAILIWICK_OUTBOUND_ALLOWED)\n"
    )
    own = [(f"{program} up", ""), (f"{program} import github FILE", ""), (f"{program} connect github OWNER/REPO", "")]
    _print_commands(console, own)


def _effect_commands(program: str, org: str, effects: EffectsSeen, *, is_served: bool) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    refusal = next((one for one in effects.refusals if ORDERS_RULE in one.rule), None)
    if refusal is not None:
        about = f"why nothing went out for {refusal.target.removeprefix('issue:')}, whose text gives orders"
        lines.append((f"{program} why {refusal.effect_id} {org}", about))
    asked = effects.to_approve
    if asked is not None:
        lines.append((f"{program} approvals list {org}", f"the {effects.waiting_for_approval} that wait for a person"))
        about = "your yes: " + ("it is sent at once" if is_served else f"it is sent by the next {program} demo --keep")
        approve = f"approvals approve {asked.approval_id} --digest {asked.digest}"
        lines.append(
            (f"{program} approvals show {asked.approval_id} {org}", "one of them: what would be sent, and why")
        )
        lines.append((f"{program} {approve} {org}", about))
    return lines


def _rewind_commands(program: str, org: str, effects: EffectsSeen) -> list[tuple[str, str]]:
    """Return how to end a run with a no, and take back what it did before; needs the worker and forge."""
    asked = effects.to_reject
    if asked is None:
        return []
    about = asked.target.removeprefix("issue:")
    no = f"approvals reject {asked.approval_id} --digest {asked.digest}"
    rewind = f"{program} rewind {asked.task_id} --to 0"
    return [
        (f"{program} {no} {org}", f"your no to a comment on {about}: the run ends, the label that it put on stays"),
        (f"{rewind} --dry-run {org}", "what taking back that run would do"),
        (f"{rewind} {org}", "take it back: the label comes off"),
        (f"{program} effects list --task {asked.task_id} {org}", "what the run did, taken back"),
    ]


def blocked_lines(blocked: BlockedBecause) -> list[str]:
    """Return what the blocked issues wait for, one line for each family that there is."""
    departments = ", ".join(f"{name} {n}" for name, n in blocked.departments.items())
    said: dict[Family, tuple[str, str]] = {
        "department_not_in_release": ("wait", f"for departments not in this release: {departments}"),
        "lacks_input": ("lack", "input"),
        "likely_duplicate": ("rest", "on a likely duplicate"),
        "needs_person": ("need", "a person"),
    }
    return [
        f"blocked: {n} {said[family][0]}{'s' if n == 1 else ''} {said[family][1]}"
        for family, n in blocked.families.items()
        if n
    ]


def program_name() -> str:
    """Return how this program is called, from any folder."""
    if shutil.which("bailiwick"):
        return "bailiwick"
    called = Path(sys.argv[0]).absolute()
    if os.access(called, os.X_OK):
        return shlex.quote(str(called))
    return f"{shlex.quote(sys.executable)} -m bailiwick.main"


def _print_commands(console: Console, lines: Sequence[tuple[str, str]]) -> None:
    for command, remark in lines:
        if remark:
            console.print(Text(f"  # {remark}", style="bright_black"), soft_wrap=True)
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def _reasons(run: DemoRun) -> str:
    if run.fed is None or not run.fed.rejected:
        return ""
    told = [reason.split(":")[0] for _, reason in run.fed.rejected[:_REASONS]]
    return f", for example: {'; '.join(told)}"
