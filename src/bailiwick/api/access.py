"""Who may what: the permission that a route needs, and the organization a request is about."""

import time
from collections import OrderedDict
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant

from bailiwick.audit import Actor
from bailiwick.identity import Caller, Organization
from bailiwick.identity.people.permissions import PERMISSIONS
from bailiwick.installation import HOME, Installation
from bailiwick.kernel.errors import ForbiddenError, InternalError, InvalidInputError, NotFoundError
from bailiwick.tasks import TaskKind

_ORGANIZATION_MEMORY_SECONDS = 60.0
_MEMORY_SIZE = 10_000
_NAMED_ORGANIZATIONS = 20


class OrganizationMemory:
    """Remembers organizations by id and slug for a minute; neither ever changes."""

    def __init__(self, installation: Installation) -> None:
        self._organizations = installation.organizations
        self._known: OrderedDict[str, tuple[float, Organization]] = OrderedDict()

    async def find(self, reference: str) -> Organization | None:
        """Return an organization by id or slug, or None."""
        known = self._known.get(reference)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        self._known.pop(reference, None)
        found = await self._organizations.find(reference)
        if found is not None:
            self._known[reference] = (time.monotonic() + _ORGANIZATION_MEMORY_SECONDS, found)
            if len(self._known) > _MEMORY_SIZE:
                self._known.popitem(last=False)
        return found


async def find_visible(memory: OrganizationMemory, caller: Caller, reference: str) -> Organization:
    """Return an organization that a caller may see.

    Raises:
        NotFoundError: there is none, or it is another's: the two look alike.
    """
    found = await memory.find(reference)
    if found is None or not caller.sees(found.id):
        raise NotFoundError(f"no organization {reference!r}")
    return found


async def _installation(request: Request) -> Installation:
    installation: Installation = request.app.state.installation
    return installation


async def _caller(request: Request) -> Caller:
    # Set by the doorkeeper, who lets nobody in without it.
    caller: Caller = request.state.caller
    return caller


async def _admin(request: Request) -> Caller:
    caller = await _caller(request)
    if not caller.is_unbounded_admin:
        raise ForbiddenError("this needs an administrator of the installation, or an administrator's key")
    return caller


async def _address(request: Request) -> str | None:
    address: str | None = request.state.address
    return address


async def _acting(request: Request) -> Actor:
    return (await _caller(request)).actor(await _address(request))


async def _tenant(
    request: Request,
    organization: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Slug or id of the organization that the request is about. An organization's own key, and a "
            "user of a single one, need none; an administrator without one means the home organization.",
            examples=["home"],
        ),
    ] = None,
) -> Organization:
    caller = await _caller(request)
    memory: OrganizationMemory = request.app.state.organizations
    found = await find_visible(memory, caller, organization or await _only_organization(memory, caller))
    await request.app.state.rates.admit_organization(request.scope, caller, found.id)
    if request.method == "GET":
        # Every route that shows a tenant's data comes by here, so mass reads are counted in one place.
        platform = await _installation(request)
        platform.alarms.read(caller.actor(), found.id)
    return found


async def _only_organization(memory: OrganizationMemory, caller: Caller) -> str:
    if caller.is_admin:
        return HOME
    if len(caller.grants) == 1:
        return next(iter(caller.grants))
    if not caller.grants:
        raise ForbiddenError("you belong to no organization yet; ask one of its administrators for an invitation")
    found = [await memory.find(identifier) for identifier in sorted(caller.grants)[:_NAMED_ORGANIZATIONS]]
    names = ", ".join(sorted(one.slug for one in found if one is not None))
    raise InvalidInputError(f"you belong to several organizations; say which with ?organization=, one of: {names}")


class Permission:
    """The dependency behind `Needs`: lets a caller on who has a permission in the organization asked about."""

    def __init__(self, name: str) -> None:
        if name not in PERMISSIONS:
            raise InternalError(f"the permission {name!r} is not in permissions.toml, so nobody decided who has it")
        self.name = name

    async def __call__(self, request: Request, organization: "Tenant") -> Organization:
        """Return the organization, or raise ForbiddenError naming the permission."""
        check_permission(await _caller(request), self.name, organization)
        return organization


def check_permission(caller: Caller, permission: str, organization: Organization) -> None:
    """Refuse a caller who lacks a permission in an organization, by a ForbiddenError that names it."""
    if not caller.may(permission, organization.id):
        raise ForbiddenError(
            f"this needs the permission {permission} in the organization {organization.slug!r}, which you do not "
            "have; somebody who manages its members or keys can give it"
        )


def check_kind(caller: Caller, kind: TaskKind, organization: Organization) -> None:
    """Refuse to have a kind of task made by hand by a caller who may not do what it does, by a ForbiddenError."""
    if kind.needs == "installation" and not caller.is_unbounded_admin:
        raise ForbiddenError(f"{kind.name} works on the whole installation; only its administrators may ask for it")
    if kind.needs not in (None, "installation"):
        check_permission(caller, kind.needs, organization)


def check_addition(caller: Caller, kind: TaskKind, organization: Organization) -> None:
    """Refuse to have a task added by hand by who may not do what it does, or who would have it done for nothing.

    The platform's own upkeep counts for nobody, so it is the platform that adds
    it; people steer the schedules it comes from. A kind that names what it needs
    is guarded by that.

    Raises:
        ForbiddenError: says what is missing.
        InvalidInputError: the kind has a door of its own.
    """
    check_kind(caller, kind, organization)
    kind.check_by_hand()
    if not kind.is_metered and kind.needs is None and not caller.is_unbounded_admin:
        raise ForbiddenError(
            f"{kind.name} is the platform's own upkeep and counts against no quota, so only administrators of the "
            "installation may add or schedule it; where it has a schedule, that can be fired at any time"
        )


def Needs(permission: str) -> Any:  # noqa: N802 - read as a declaration, like FastAPI's Depends
    """Return what a route lists in ``dependencies`` to need a permission in the organization asked about.

    Raises:
        InternalError: no such permission; at import, so no route goes unguarded by a typing error.
    """
    return Depends(Permission(permission))


def needed(dependant: Dependant) -> str:
    """Return what an operation needs: a permission, ``installation``, ``self``, or ``open`` if it declares nothing."""
    calls = list(_calls(dependant))
    for call in calls:
        if isinstance(call, Permission):
            return call.name
    if _admin in calls:
        return "installation"
    return "self" if _caller in calls or _acting in calls else "open"


def _calls(dependant: Dependant) -> list[object]:
    below = [call for one in dependant.dependencies for call in _calls(one)]
    return [one.call for one in dependant.dependencies] + below


def query_names(dependant: Dependant) -> set[str]:
    """Return the query parameters that an operation and what it depends on know."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*(query_names(needed) for needed in dependant.dependencies))


async def known_query_only(request: Request) -> None:
    """Refuse a query parameter that the operation does not know: it is most often a typing error.

    Raises:
        InvalidInputError: naming the ones it knows.
    """
    if not request.scope["query_string"]:
        return
    names = query_names(request.scope["route"].dependant)
    unknown = sorted(set(request.query_params) - names)
    if unknown:
        raise InvalidInputError(
            f"unknown query parameter {', '.join(unknown)[:200]}; known: {', '.join(sorted(names)) or 'none'}"
        )


Platform = Annotated[Installation, Depends(_installation)]
# Any caller, known and let in; what they may is for the operation to look at.
Anybody = Annotated[Caller, Depends(_caller)]
Admin = Annotated[Caller, Depends(_admin)]
Tenant = Annotated[Organization, Depends(_tenant)]
# Where the request comes from, and who the audit log says acted.
Address = Annotated[str | None, Depends(_address)]
Acting = Annotated[Actor, Depends(_acting)]
