"""Who may what: callers by their key, and the organization a request is about."""

import hashlib
import time
from collections import OrderedDict
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.dependencies.models import Dependant

from bailiwick.identity import Caller, Keys, Organization
from bailiwick.installation import HOME, Installation
from bailiwick.kernel.errors import ForbiddenError, InvalidInputError, NotFoundError, UnauthorizedError

# A revoked key opens doors for at most this long.
KEY_MEMORY_SECONDS = 1.0
_ORGANIZATION_MEMORY_SECONDS = 60.0
_MEMORY_SIZE = 10_000
_MAX_KEY_LENGTH = 200


class KeyMemory:
    """Remembers for a second who holds a key, so that a burst of requests asks the database once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def authenticate(self, authorization: str) -> Caller:
        """Return who sent an ``Authorization`` header.

        Raises:
            UnauthorizedError: it is no Bearer key, or nobody's.
        """
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise UnauthorizedError("a key is needed: send the header 'Authorization: Bearer bw_...'")
        if len(key) > _MAX_KEY_LENGTH or not key.isascii():
            raise UnauthorizedError("the key is not known here, was revoked or has expired")
        # By its hash, so that no key stays in memory.
        digest = hashlib.sha256(key.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        self._known.pop(digest, None)
        asked_at = time.monotonic()
        caller = await self._keys.authenticate(key)
        self._known[digest] = (asked_at + KEY_MEMORY_SECONDS, caller)
        if len(self._known) > _MEMORY_SIZE:
            self._known.popitem(last=False)
        return caller


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
    if found is None or caller.organization_id not in (None, found.id):
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
    if not caller.is_admin:
        raise ForbiddenError("this needs the key of an administrator of the installation")
    return caller


async def _tenant(
    request: Request,
    organization: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Slug or id of the organization that the request is about. An organization's own key needs "
            "none; an administrator's key without one means the home organization.",
            examples=["home"],
        ),
    ] = None,
) -> Organization:
    caller = await _caller(request)
    memory: OrganizationMemory = request.app.state.organizations
    return await find_visible(memory, caller, organization or caller.organization_id or HOME)


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
Anybody = Annotated[Caller, Depends(_caller)]
Admin = Annotated[Caller, Depends(_admin)]
Tenant = Annotated[Organization, Depends(_tenant)]
