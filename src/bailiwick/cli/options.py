"""Options that many commands share, so that they read the same everywhere."""

from typing import Annotated

import typer

from bailiwick.installation import HOME

Org = Annotated[
    str, typer.Option("--org", metavar="NAME", help="The organization, by its short name or id.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to show.")]
Cursor = Annotated[
    str | None, typer.Option("--cursor", metavar="TEXT", help="Go on behind this place of an earlier listing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

__all__ = ["HOME", "AsJson", "Cursor", "Limit", "Org", "Yes"]
