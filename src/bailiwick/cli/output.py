"""What commands print: one JSON document or a table on standard output, everything else on standard error."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bailiwick.cli.legible import legible, legible_json
from bailiwick.cli.values import in_line, moment
from bailiwick.kernel.terminals import harmless
from bailiwick.storage.pages import Page

STATE_STYLES = {
    "completed": "green", "executing": "bold cyan", "available": "cyan", "scheduled": "blue", "waiting": "blue",
    "retryable": "yellow", "cancelled": "dim", "discarded": "bold red",
}  # fmt: skip


# Columns that are of no use when cut, and those that may take several lines.
_WHOLE = frozenset({"id", "slug"})
_WRAPPED = frozenset({"reason", "next step", "detail", "result", "why not", ""})
_ID_CHARACTERS = 36
# Wide enough that nothing is cut in a pipe, where lines have no width.
_PIPE_COLUMNS = 240


class SafeConsole(Console):
    """A console that keeps from the terminal what texts from outside, such as titles of issues, would have it do."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render without characters that do something; rich's own codes are styles and control segments, which stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def screen() -> Console:
    """Return the console of results. Made at each use, because tests and pipes exchange the stream."""
    console = SafeConsole(highlight=False)
    return console if console.is_terminal else SafeConsole(highlight=False, width=_PIPE_COLUMNS)


def notes() -> Console:
    """Return the console of everything that is not a result."""
    return SafeConsole(stderr=True, highlight=False)


def note(message: str, *, style: str = "dim") -> None:
    """Tell something beside the result, on standard error."""
    notes().print(message, style=style, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.buffer.write(_encoded(value, orjson.OPT_INDENT_2))
    sys.stdout.buffer.flush()


def print_text(text: str) -> None:
    """Print a text as it is, for a file or a pipe; a terminal is spared the control characters in it."""
    ended = text if text.endswith("\n") else f"{text}\n"
    sys.stdout.write(harmless(ended) if sys.stdout.isatty() else ended)


def print_json_line(value: object) -> None:
    """Print one JSON document of a stream, on one line."""
    sys.stdout.buffer.write(_encoded(value))
    sys.stdout.buffer.flush()


def plain(value: object) -> Any:
    """Return records as JSON objects and pages as ``{items, next_cursor}``."""
    if isinstance(value, Page):
        return {"items": [plain(item) for item in value.items], "next_cursor": value.next_cursor}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, title: str = "") -> None:
    """Print a table, or a sentence where there are no rows. A column that begins with ``>`` is numeric."""
    made = [[_cell(value) for value in row] for row in rows]
    if not made:
        note(empty)
        return
    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        show_header=any(columns),
    )
    for name in columns:
        is_whole = name in _WHOLE
        table.add_column(
            name.lstrip(">"), justify="right" if name.startswith(">") else "left",
            overflow="ignore" if is_whole else "ellipsis", no_wrap=name not in _WRAPPED,
            min_width=_ID_CHARACTERS if name == "id" else None,
        )  # fmt: skip
    for row in made:
        table.add_row(*row)
    screen().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print what there is to say of one thing: a line for each name, without what is left open.

    Documents are compact JSON. What is long is cut, and says so.
    """
    _print_lines([(name, value) for name, value in facts if value is not None and value not in ("", [], {}, ())])


def print_document(title: str, document: object) -> None:
    """Print a document under its title: a line for each of its names; what has no names on one line."""
    if isinstance(document, Mapping) and document:
        screen().print(Text(title, style="bold"))
        # Nothing is left out: that a name stands for nothing can be the point of a document.
        names = cast("Mapping[object, object]", document)
        _print_lines([(str(name), value) for name, value in names.items()], margin="  ")
    else:
        screen().print(Text.assemble((title, "bold"), f"  {in_line(document)}"), soft_wrap=True)


def print_more(page: Page[Any]) -> None:
    """Say how to see the rest of a listing, if there is one."""
    if page.next_cursor is not None:
        note(f"more with --cursor {page.next_cursor}")


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """Return how long ago a moment was, or how far ahead it is, in one unit."""
    if moment is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    span = duration(abs(seconds))
    return f"{span} ago" if seconds >= 0 else f"in {span}"


def duration(seconds: float | None) -> str:
    """Return a time span in the unit that suits it."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((0.9995, 0.001, "ms"), (99.5, 1, "s"), (99 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            amount = seconds / size
            return f"{amount:.1f} {unit}" if unit == "s" and amount < 9.95 else f"{amount:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def state_text(state: str) -> Text:
    """Return a task state in its colour."""
    return Text(state, style=STATE_STYLES.get(state, ""))


def _print_lines(facts: Sequence[tuple[str, object]], *, margin: str = "") -> None:
    width = max((len(name) for name, _ in facts), default=0) + 2
    for name, value in facts:
        line = Text(margin).append(f"{legible(name):<{width}}", style="dim")
        screen().print(line.append_text(value if isinstance(value, Text) else Text(_fact(value))), soft_wrap=True)


def _fact(value: object) -> str:
    return f"{moment(value)} ({ago(value)})" if isinstance(value, datetime) else in_line(value)


def _encoded(value: object, option: int = 0) -> bytes:
    return f"{legible_json(orjson.dumps(plain(value), default=str, option=option).decode())}\n".encode()


def _cell(value: object) -> Text | str:
    if isinstance(value, Text):
        return value
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return Text(ago(value))
    # Text from outside is shown as it is, never read as markup; what is no text has one way to be written.
    return Text(value if isinstance(value, str) else in_line(value))
