"""``bailiwick orgs settings``: what an organization sets for its operations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer

from bailiwick.cli.output import print_json, print_table
from bailiwick.cli.session import operator, organization_of, with_installation
from bailiwick.installation import Installation
from bailiwick.kernel.errors import InvalidInputError, NotFoundError
from bailiwick.packs.operations.settings import OperationsSettings, load_settings, save_settings, stored_settings

app = typer.Typer(no_args_is_help=True)

OrgName = Annotated[str, typer.Argument(metavar="ORG", help="The organization, by its short name or id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


@app.callback()
def about() -> None:
    """Show and change service levels, calendar, confidence limit, holds and tries of an organization."""


@app.command()
def show(org: OrgName, as_json: AsJson = False) -> None:
    """Show what holds for an organization, and what of it is set and not the default."""

    async def read(installation: Installation) -> tuple[OperationsSettings, object]:
        organization = await organization_of(installation, org)
        stored = await stored_settings(installation.database, organization.id)
        return await load_settings(installation.database, organization.id), stored

    _print(*with_installation(read), as_json=as_json)


@app.command("set")
def change(
    org: OrgName,
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=JSON|@FILE...", help="'null' gives a setting its default again.")
    ],
    as_json: AsJson = False,
) -> None:
    """Change settings; all of them or, if one cannot be used, none.

    For example: sla_seconds.P2=28800 needs_person_below=0.6 calendar=@calendar.json
    hold_seconds.P1=600 max_agents_tried=3. Work that begins from now on goes by them.
    """
    changes = [_change(value) for value in values]

    async def apply(installation: Installation) -> tuple[OperationsSettings, object]:
        organization = await organization_of(installation, org)
        stored = await stored_settings(installation.database, organization.id)
        document = _changed(cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}, changes)
        settings = await save_settings(installation.database, organization.id, document, actor=operator())
        return settings, document

    _print(*with_installation(apply), as_json=as_json)


def _change(text: str) -> tuple[Sequence[str], object]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InvalidInputError(f"{text!r}: write NAME=VALUE, for example needs_person_below=0.6")
    source = _read(Path(value[1:])) if value.startswith("@") else value
    try:
        return name.split(".", 1), orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"{name}: the value is no JSON ({error})") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"no file {path}") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error


def _changed(stored: Mapping[str, Any], changes: Sequence[tuple[Sequence[str], object]]) -> dict[str, Any]:
    document = dict(stored)
    for path, value in changes:
        name, *within = path
        document[name] = _with_part(name, document.get(name), within[0], value) if within else value
    return {name: value for name, value in document.items() if value is not None}


def _with_part(name: str, own: object, part: str, value: object) -> dict[str, object]:
    """Return a setting with one of its parts changed; what nobody set begins with the default."""
    found = OperationsSettings().model_dump().get(name)
    default: dict[str, object] = found if isinstance(found, dict) else {}
    parts = {**(own if isinstance(own, dict) else default), part: default.get(part) if value is None else value}
    return {key: entry for key, entry in parts.items() if entry is not None}


def _print(settings: OperationsSettings, stored: object, *, as_json: bool) -> None:
    seconds = {priority.name: seconds for priority, seconds in settings.policy.seconds.items()}
    holds = {**settings.model_dump(), "sla_seconds": seconds}
    if as_json:
        print_json({"settings": holds, "set": stored})
        return
    is_set = set(stored) if isinstance(stored, dict) else set[str]()
    print_table(
        ("setting", "", "from"),
        ((name, orjson.dumps(value).decode(), "set" if name in is_set else "default") for name, value in holds.items()),
        empty="",
    )
