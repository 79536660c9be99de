"""``bailiwick tools``: what agents can do outside."""

from typing import Annotated

import typer

from bailiwick.cli.options import AsJson
from bailiwick.cli.output import print_document, print_facts, print_json, print_table
from bailiwick.cli.session import with_installation
from bailiwick.effects.registry import ToolView, view_of
from bailiwick.installation import Installation

app = typer.Typer()


@app.command()
def tools(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this one with its arguments.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tools there are, or show one: its class, its arguments, what is known of it after a crash."""

    async def read(installation: Installation) -> list[ToolView]:
        registered = installation.registry.tools
        return [view_of(tool) for tool in (registered.all() if name is None else [registered.get(name)])]

    found = with_installation(read)
    if as_json:
        print_json({"items": found, "next_cursor": None} if name is None else found[0])
    elif name is None:
        print_table(
            ("name", "version", "class", "after a crash", "detail"),
            ((tool.name, tool.version, tool.effect_class, tool.recovery, tool.summary) for tool in found),
            empty="no tools; extensions bring them",
        )
    else:
        tool = found[0]
        print_facts((field, getattr(tool, field)) for field in ToolView.__dataclass_fields__ if field != "arguments")
        print_document("\narguments", tool.arguments.get("properties", {}))
