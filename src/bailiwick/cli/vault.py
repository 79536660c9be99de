"""``bailiwick vault``: the keys that seal secrets and personal data."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bailiwick.audit import Act
from bailiwick.cli.options import AsJson, Yes
from bailiwick.cli.output import note, print_json, print_table
from bailiwick.cli.session import operator, organization_of, read_settings, say_when_watched, with_installation
from bailiwick.installation import Installation
from bailiwick.installation.master_key import master_key_source
from bailiwick.installation.sealed_columns import SEALED_COLUMNS
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.vault.data_keys import KeyCount
from bailiwick.vault.errors import MasterKeyError
from bailiwick.vault.key_file import KeyFile
from bailiwick.vault.providers import CommandKey, KeyProvider, LocalKey
from bailiwick.vault.rotation import Resealed, Rotation

app = typer.Typer(no_args_is_help=True)

OnlyOrg = Annotated[
    str | None, typer.Option("--org", metavar="NAME", help="Only this organization; without it all and the platform's.")
]


@app.callback()
def vault() -> None:
    """Look at the keys that seal secrets; rotate and destroy them."""


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show which master key wraps how many data keys, and whether it is at hand here."""

    async def read(installation: Installation) -> tuple[str | None, list[KeyCount], dict[str, str]]:
        names = await _names(installation)
        return await installation.vault.keys.current_master(), await installation.vault.keys.counts(), names

    current, counts, names = with_installation(read)
    at_hand = _ids_at_hand()
    rows = [
        {
            "organization": names.get(count.organization_id, count.organization_id),
            "organization_id": count.organization_id,
            "master_key": count.master_key_id,
            "data_keys": count.keys,
            "state": _state(count, current, at_hand),
        }
        for count in counts
    ]
    if as_json:
        print_json({"master_key": current, "at_hand": at_hand, "data_keys": rows})
        return
    note(f"master key: {current or 'none yet, nothing is sealed'}", style="")
    print_table(
        ("organization", "master key", ">data keys", "state"),
        ((row["organization"], row["master_key"], row["data_keys"], row["state"]) for row in rows),
        empty="no data keys",
    )
    if any(row["state"] == "to be rotated" for row in rows):
        note("a rotation was interrupted; run it again: bailiwick vault rotate --master")


@app.command()
def rotate(
    *,
    master: Annotated[bool, typer.Option("--master", help="Wrap all data keys with another master key.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Make new data keys and seal stored values with them.")] = False,
    to_env: Annotated[
        str | None, typer.Option("--to-env", metavar="NAME", help="The variable that holds the new master key.")
    ] = None,
    to_file: Annotated[Path | None, typer.Option("--to-file", help="The file that holds it, instead.")] = None,
    to_command: Annotated[
        str | None, typer.Option("--to-command", metavar="COMMAND", help="The command that wraps instead.")
    ] = None,
    org: OnlyOrg = None,
    as_json: AsJson = False,
) -> None:
    """Change keys while the platform runs; interrupted, run the same again.

    Of a key file in the data folder the new master key is made here, and the
    old one stays beside it as master.key.old: delete it once no backup needs
    it. A master key from elsewhere is named by one of the --to options; all
    processes are started with it afterwards.
    """
    if master == data:
        raise InvalidInputError("say --master for another master key, or --data for new data keys")
    if data:
        _rotate_data(org, as_json=as_json)
        return
    if org is not None:
        raise InvalidInputError("the master key is that of all organizations; leave out --org")
    file = None
    new = _named_key(to_env, to_file, to_command)
    if new is None:
        file = _own_key_file()
        file.make_next()
        new = file.at_hand()[-1]

    async def change(installation: Installation) -> int:
        before = await installation.vault.keys.current_master()
        done = await _rotation(installation).rotate_master(new)
        act = Act(INSTALLATION, "vault.master_key_rotated", operator(), f"master_key:{new.id}",
                  before={"master_key": before}, after={"master_key": new.id, "rewrapped": done})  # fmt: skip
        await installation.audit.record(act)
        return done

    done = with_installation(change)
    if file is not None:
        file.finish_rotation()
    if as_json:
        print_json({"master_key": new.id, "rewrapped": done})
        return
    note(f"{done} data keys are wrapped with master key {new.id}", style="")
    if file is None:
        note("now start every process with the new master key; the old one opens only backups made before")
    else:
        note(f"the old master key is in {file.old_path}; delete it once no backup needs it")


@app.command()
def reseal(org: OnlyOrg = None, as_json: AsJson = False) -> None:
    """Seal stored values with the newest version of their data key; what is up to date stays."""
    _told_resealed(with_installation(lambda installation: _reseal(installation, org)), as_json=as_json)


@app.command()
def forget(
    org: Annotated[str, typer.Option("--org", metavar="NAME", help="The organization.")],
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="Only this person; without it everything sealed.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Destroy the keys of a person or organization: what they sealed can never be opened again.

    Erases nothing else; a request for erasure is carried out by bailiwick
    privacy. Backups made before still hold the wrapped keys.
    """
    whose = f"person {subject} in {org}" if subject else f"organization {org}, its connections included"
    if not yes:
        typer.confirm(f"destroy the keys of {whose}, for ever?", abort=True, err=True)

    async def destroy(installation: Installation) -> int:
        organization = await organization_of(installation, org)
        target = f"subject:{subject}" if subject else f"organization:{organization.id}"
        async with installation.database.transaction(organization.id) as connection:
            destroyed = await installation.vault.forget(organization.id, subject, connection=connection)
            act = Act(organization.id, "vault.keys_destroyed", operator(), target, after={"keys": destroyed},
                      reason=reason)  # fmt: skip
            await installation.audit.record(act, connection=connection)
        return destroyed

    destroyed = with_installation(destroy)
    if as_json:
        print_json({"organization": org, "subject": subject, "destroyed": destroyed})
    else:
        note(f"destroyed {destroyed} data keys of {whose}", style="")


def _rotate_data(org: str | None, *, as_json: bool) -> None:
    async def change(installation: Installation) -> list[Resealed]:
        organizations = await _organizations(installation, org)
        made = await _rotation(installation).add_versions(organizations)
        reports = await _reseal(installation, org)
        act = Act(INSTALLATION, "vault.data_keys_rotated", operator(), f"organization:{org or 'all'}",
                  after={"keys": made, "resealed": sum(report.resealed for report in reports)})  # fmt: skip
        await installation.audit.record(act)
        return reports

    _told_resealed(with_installation(change), as_json=as_json)


async def _reseal(installation: Installation, org: str | None) -> list[Resealed]:
    return await _rotation(installation).reseal(await _organizations(installation, org))


async def _organizations(installation: Installation, org: str | None) -> list[str]:
    if org is not None:
        return [(await organization_of(installation, org)).id]
    return sorted({count.organization_id for count in await installation.vault.keys.counts()})


def _rotation(installation: Installation) -> Rotation:
    return Rotation(installation.database, installation.vault, SEALED_COLUMNS, say_when_watched)


def _told_resealed(reports: list[Resealed], *, as_json: bool) -> None:
    if as_json:
        print_json(reports)
        return
    print_table(
        ("table", "column", ">sealed anew", ">up to date", ">erased", ">cannot be opened"),
        ((one.table, one.column, one.resealed, one.current, one.erased, one.broken) for one in reports),
        empty="nothing is sealed",
    )


def _named_key(variable: str | None, file: Path | None, command: str | None) -> KeyProvider | None:
    if sum(one is not None for one in (variable, file, command)) > 1:
        raise InvalidInputError("name one new master key: --to-env, --to-file or --to-command")
    if variable is not None:
        text = os.environ.get(variable)
        if not text:
            raise InvalidInputError(f"the variable {variable} is not set here; it must hold the new master key")
        return LocalKey.from_text(text, where=f"the variable {variable}")
    if file is not None:
        found = KeyFile(file, may_create=False).at_hand()
        if not found:
            raise InvalidInputError(f"there is no master key in {file}; make one with: openssl rand -base64 32")
        return found[0]
    return None if command is None else CommandKey(command)


def _own_key_file() -> KeyFile:
    source = master_key_source(read_settings())
    if not isinstance(source, KeyFile):
        raise InvalidInputError(
            "the new master key is not ours to make here; name it with --to-env, --to-file or --to-command"
        )
    if not source.path.exists():
        raise InvalidInputError(f"there is no master key in {source.path} to rotate; nothing was sealed with it")
    return source


def _ids_at_hand() -> list[str]:
    try:
        return [key.id for key in master_key_source(read_settings()).at_hand()]
    except MasterKeyError as error:
        note(str(error), style="yellow")
        return []


async def _names(installation: Installation) -> dict[str, str]:
    found: dict[str, str] = {INSTALLATION: "the platform"}
    cursor = None
    while True:
        page = await installation.organizations.list(limit=500, cursor=cursor)
        found |= {organization.id: organization.slug for organization in page.items}
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


def _state(count: KeyCount, current: str | None, at_hand: list[str]) -> str:
    if count.master_key_id is None:
        return "destroyed"
    if count.master_key_id not in at_hand:
        return "master key missing here"
    return "in use" if count.master_key_id == current else "to be rotated"
