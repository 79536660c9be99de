"""``bailiwick why``: why something happened, or why it did not."""

from typing import Annotated

import typer
from rich.text import Text

from bailiwick.cli.options import HOME, AsJson, Org
from bailiwick.cli.output import note, print_json, screen
from bailiwick.cli.session import with_organization
from bailiwick.cli.values import in_line, moment
from bailiwick.identity import Organization
from bailiwick.installation import Installation
from bailiwick.installation.explaining import Explainer
from bailiwick.installation.explanation import Chain, Explanation, lines_of

app = typer.Typer()

_STYLES = {
    "event": "magenta", "task": "bold", "agent": "cyan", "proposed": "bold cyan", "decided": "bold yellow",
    "approve": "green", "reject": "red", "verified": "green", "refuted": "bold red", "failed": "bold red",
    "applied": "green", "declined": "yellow", "expected": "blue",
}  # fmt: skip


@app.command()
def why(
    about: Annotated[
        str,
        typer.Argument(
            metavar="ID|KEY",
            help="The id of an effect, decision, approval, task or event, or an issue's key such as owner/name#7.",
        ),
    ],
    org: Org = HOME,
    as_json: AsJson = False,
) -> None:
    """Explain why something happened: who was chosen, what was proposed, which rule decided, what came of it.

    Where nothing happened, it says what was considered and declined, or that
    nothing was proposed.
    """

    async def read(installation: Installation, organization: Organization) -> Explanation:
        return await Explainer(installation.database, installation.policies).explain(organization.id, about)

    found = with_organization(org, read)
    if as_json:
        print_json(found.document())
        return
    for sentence in found.answer:
        screen().print(sentence, markup=False, soft_wrap=True, style="bold")
    for chain in found.chains:
        screen().print()
        _show(chain)
    if found.is_cut:
        note("there is more; ask for one of the tasks by its id", style="yellow")


def _show(chain: Chain) -> None:
    for line in lines_of(chain):
        text = Text("  " * line.depth)
        text.append(line.label, style=_STYLES.get(line.label, "dim"))
        text.append(f"  {line.text}" if line.label and line.text else line.text)
        if line.document is not None:
            text.append(f" {in_line(line.document)}")
        if line.at is not None:
            text.append(f"  {moment(line.at)}", style="dim")
        screen().print(text, soft_wrap=True)
