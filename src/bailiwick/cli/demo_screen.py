"""The demo's live screen: progress, agents, issues and their deadlines, and what happens."""

from collections import deque
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import ConsoleOptions, Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bailiwick.agents import AgentStatistics
from bailiwick.cli.output import duration
from bailiwick.demo.effects import EffectsSeen
from bailiwick.demo.pulse import Pulse
from bailiwick.demo.story import Line, Story, Tone

_TONES: dict[Tone, str] = {
    "plain": "", "good": "green", "notice": "yellow", "alarm": "bold red", "quiet": "bright_black",
}  # fmt: skip
_STATUSES = (
    ("todo", "blue"), ("in-progress", "bold cyan"), ("review", "yellow"), ("done", "green"),
    ("blocked", "bright_black"),     ("failed", "red"), ("error", "red"),
)  # fmt: skip
_BORDER = "bright_black"
_FEED_LINES = 60
_MIDDLE_ROWS = 12
_TITLE_CHARACTERS = 30
_BAR_BLOCKS = 20
# Below that nothing would be left of the names of agents.
_ROOM_FOR_TIMES = 50


class DemoScreen:
    """Draws what the demo knows; give it looks and lines, and show it with Rich's ``Live``."""

    def __init__(self, company: str, story: Story) -> None:
        self._company = company
        self._story = story
        self._lines: deque[Line] = deque(maxlen=_FEED_LINES)
        self._pulse: Pulse | None = None
        self._seconds = 0.0
        self._place = ""
        self.phase = "starting"

    def served_at(self, url: str) -> None:
        """Show where the API listens."""
        self._place = url

    def add(self, lines: Iterable[Line]) -> None:
        """Add sentences to the feed."""
        self._lines.extend(lines)

    def look(self, pulse: Pulse, seconds: float) -> None:
        """Take a new look at the organization."""
        self._pulse, self._seconds = pulse, seconds

    def __rich__(self) -> RenderableType:
        """Return the screen as it is now."""
        layout = Layout()
        layout.split_column(
            Layout(self._head(), name="head", size=5),
            Layout(name="middle", size=_MIDDLE_ROWS),
            Layout(self._feed(), name="feed"),
        )
        layout["middle"].split_row(Layout(self._agents(), ratio=58), Layout(self._issues(), ratio=42))
        return layout

    def _head(self) -> RenderableType:
        title = Table.grid(expand=True)
        title.add_column()
        title.add_column(justify="right")
        place = Text(self._place, style="underline bright_black") if self._place else Text("")
        title.add_row(
            Text.assemble(("Bailiwick ", "bold"), ("runs ", "bright_black"), (self._company, "bold green")),
            Text.assemble(place, f"  {self._seconds:5.1f} s"),
        )
        pulse = self._pulse
        bar = Table.grid(expand=True, padding=(0, 1))
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        done, total = (pulse.finished, pulse.total) if pulse else (0, 0)
        bar.add_row(
            ProgressBar(total=max(total, 1), completed=done, complete_style="green", finished_style="green"),
            Text.assemble(
                (f"{done:,}", "bold green"), f" of {total:,} tasks", (f"   {self.phase}", "bright_black"),
            ),
        )  # fmt: skip
        counts = Text(style="bright_black")
        if pulse is not None:
            events = sum(pulse.events.values())
            counts.append(f"{events:,} events   {pulse.movement.at_work:,} tasks at work   ")
            counts.append(f"{pulse.rejected:,} records refused", style="yellow" if pulse.rejected else "")
            counts.append(_outside(pulse.effects))
        return Group(title, Text(""), bar, counts)

    def _agents(self) -> RenderableType:
        agents = _Agents(sorted(self._pulse.agents, key=_by_kind) if self._pulse else [])
        return Panel(agents, title="agents", title_align="left", border_style=_BORDER, box=box.ROUNDED, padding=(0, 1))

    def _issues(self) -> RenderableType:
        pulse = self._pulse
        if pulse is None:
            return Panel("", title="issues", title_align="left", border_style=_BORDER)
        statuses = pulse.issues["status"]
        most = max([*statuses.values(), 1])
        rows = Table.grid(expand=True, padding=(0, 1))
        rows.add_column(no_wrap=True)
        rows.add_column(justify="right", no_wrap=True)
        rows.add_column(no_wrap=True, ratio=1)
        for status, style in _STATUSES:
            n = statuses.get(status, 0)
            if n or status not in ("failed", "error"):
                # At least one block where there is anything, however little it is of the most.
                blocks = max(round(n / most * _BAR_BLOCKS), 1) if n else 0
                rows.add_row(Text(status, style=style), str(n), Text("■" * blocks, style=style))
        priorities = pulse.issues["priority"]
        urgency = Text("\n")
        for name, style in (("P0", "bold red"), ("P1", "yellow"), ("P2", ""), ("P3", "bright_black")):
            urgency.append(f"{name} ", style=style).append(f"{priorities.get(name, 0):<4}", style="bold")
        sla = pulse.sla
        promise = Text.assemble(
            "\nin time ", (f"{sla.met}", "bold green"), "  late ",
            (f"{sla.breached}", "bold red" if sla.breached else "bold"), "  running ", (f"{sla.running}", "bold"),
        )  # fmt: skip
        return Panel(
            Group(rows, urgency, promise), title="issues and their deadlines", title_align="left",
            border_style=_BORDER, box=box.ROUNDED, padding=(0, 1),
        )  # fmt: skip

    def _feed(self) -> RenderableType:
        return Panel(
            _Feed(self._lines, self._story), title="what happens", title_align="left", border_style=_BORDER,
            box=box.ROUNDED, padding=(0, 1),
        )  # fmt: skip


class _Agents:
    """A line for each agent. Where there is little room the times give way: whose line it is matters more."""

    def __init__(self, agents: Sequence[AgentStatistics]) -> None:
        self._agents = agents

    def __rich_console__(self, console: object, options: ConsoleOptions) -> Iterable[RenderableType]:
        numbers = ("tasks", "done", "p50", "p95") if options.max_width >= _ROOM_FOR_TIMES else ("tasks", "done")
        table = Table(box=None, expand=True, header_style="bright_black", pad_edge=False, padding=(0, 1))
        table.add_column("agent", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("in hand", no_wrap=True, min_width=8)
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        for agent in self._agents:
            table.add_row(*_agent_row(agent)[: 2 + len(numbers)])
        yield table


class _Feed:
    """The newest lines, as many as there is room for, the newest below."""

    def __init__(self, lines: deque[Line], story: Story) -> None:
        self._lines = lines
        self._story = story

    def __rich_console__(self, console: object, options: object) -> Iterable[RenderableType]:
        height = getattr(options, "height", None) or 10
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(style="bright_black", no_wrap=True, width=8)
        table.add_column(no_wrap=True, width=5)
        table.add_column(no_wrap=True, width=8, overflow="ellipsis")
        table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        for line in list(self._lines)[-height:]:
            style = _TONES[line.tone]
            is_issue = bool(line.key and "#" in line.key)
            about = _cut(self._story.title(line.key), _TITLE_CHARACTERS) if is_issue else line.subject
            text = Text.assemble((f"{about}  " if about else "", "bold"), (line.text, style))
            table.add_row(
                f"{line.at:%H:%M:%S}", f"#{line.subject}" if is_issue else "meter",
                Text(line.verb, style=style), text,
            )  # fmt: skip
        yield table


def _outside(effects: EffectsSeen) -> Text:
    """Return what became of effects; each count stands for itself, so they are never added up."""
    return Text.assemble(
        "\neffects: ", f"{effects.proposed} proposed  ",
        (f"{effects.waiting_for_approval} wait for approval  ", "yellow" if effects.waiting_for_approval else ""),
        f"{effects.applied} applied  ", (f"{effects.verified} verified  ", "green" if effects.verified else ""),
        (f"{effects.denied} denied", "bold red" if effects.denied else ""),
    )  # fmt: skip


def _by_kind(agent: AgentStatistics) -> tuple[str, str]:
    # A row that stays where it is can be watched.
    return agent.kind, agent.agent_id


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def _agent_row(agent: AgentStatistics) -> tuple[RenderableType, ...]:
    busy = Text("■" * min(agent.load, 8), style="bold cyan") if agent.load else Text("·", style="bright_black")
    completed = f"{agent.completed / agent.done:.0%}" if agent.done else "-"
    style = "" if agent.done or agent.load else "bright_black"
    return (
        Text(agent.name, style=style), busy, Text(str(agent.done), style=style), Text(completed, style=style),
        Text(duration(agent.p50_seconds), style=style), Text(duration(agent.p95_seconds), style=style),
    )  # fmt: skip
