"""How a command reaches the platform: opened for its duration, closed whatever happens."""

import os
import pwd
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from bailiwick.audit import Actor
from bailiwick.cli.output import note, notes
from bailiwick.identity import Organization, slug_of
from bailiwick.installation import HOME, Installation, Settings
from bailiwick.kernel import loops
from bailiwick.kernel.errors import InvalidInputError

Result = TypeVar("Result")


def read_settings(**given: Any) -> Settings:
    """Return the settings of the environment, with those ``given`` that are not None.

    Raises:
        InvalidInputError: one has no usable value; the message names it.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        faults = "; ".join(
            f"BAILIWICK_{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors(include_url=False)
        )
        raise InvalidInputError(f"a setting has no usable value: {faults}") from error


def with_installation(work: Callable[[Installation], Awaitable[Result]]) -> Result:
    """Open the installation, do the work, close it."""

    async def opened() -> Result:
        async with Installation.open(read_settings(), progress=say_when_watched) as installation:
            return await work(installation)

    return loops.run(opened())


def with_organization(org: str, work: Callable[[Installation, Organization], Awaitable[Result]]) -> Result:
    """Open the installation and do the work for one organization.

    Raises:
        NotFoundError: there is no such organization; the message names those there are.
    """

    async def opened(installation: Installation) -> Result:
        return await work(installation, await organization_of(installation, org))

    return with_installation(opened)


def operator() -> Actor:
    """Return who gives commands on this machine, as the audit log names them: the operating system's account."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        # A container may run under a number that nobody gave a name.
        name = str(number)
    return Actor("system", f"account:{name}", f"{name} on the command line")


async def organization_of(installation: Installation, org: str) -> Organization:
    """Return an organization by id, short name or name; the home organization is made where it is missing."""
    found = await find_organization(installation, org)
    if found is None and org == HOME:
        return await installation.ensure_organization(HOME)
    return found or await installation.organizations.get(org)


async def find_organization(installation: Installation, org: str) -> Organization | None:
    """Return an organization by id, short name or name, or None."""
    return await installation.organizations.find(org) or await installation.organizations.find(slug_of(org))


def say_when_watched(sentence: str) -> None:
    """Tell a person on a terminal what takes so long."""
    if notes().is_terminal:
        note(sentence)
