"""Roles from a provider's groups: given, changed and taken back at each login, and never more than configured."""

from dataclasses import dataclass

import structlog

from bailiwick.audit import Actor
from bailiwick.identity.oidc.errors import IdentityRefusedError
from bailiwick.identity.oidc.flow import Asserted
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.permissions import Role
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.storage import Database

log = structlog.get_logger(__name__)


class RoleMapping:
    """Keeps memberships in step with the groups of a provider.

    It changes and ends only memberships that it gave itself; one that a person
    gave stays as it is, also where a group would give another role.
    """

    def __init__(self, database: Database, memberships: Memberships) -> None:
        self._database = database
        self._memberships = memberships

    async def apply(self, asserted: Asserted, user_id: str, *, actor: Actor) -> None:
        """Give a user the roles of their groups in each organization, and take back what no group gives any more.

        Raises:
            IdentityRefusedError: the provider's roles decide who gets in, and there is none for this user; or an
                organization would be without an owner.
        """
        provider = asserted.provider
        wanted = provider.policy.roles_for(asserted.groups)
        rows = await self._database.fetch_all("select * from mapped_organizations(%s, %s)", (provider.id, user_id))
        given = {row["organization_id"] for row in rows}
        for organization_id in sorted(wanted.keys() | given):
            subject = _Subject(organization_id, user_id, provider.id, organization_id in given)
            try:
                await self._settle(subject, wanted.get(organization_id), actor)
            except (ConflictError, NotFoundError) as error:
                raise IdentityRefusedError(f"your groups at {provider.name} cannot be followed: {error}") from error
        if provider.policy.maps_roles and not wanted:
            raise IdentityRefusedError(
                f"none of your groups at {provider.name} has a role here; ask whoever runs it to add you to one"
            )

    async def _settle(self, subject: "_Subject", role: Role | None, actor: Actor) -> None:
        held = await self._held(subject)
        if role is None:
            if held is not None:
                await self._memberships.remove(subject.organization_id, subject.user_id, actor=actor, rank="owner")
            await self._forget(subject)
        elif held is None:
            await self._give(subject, role, actor)
        elif not subject.was_given:
            log.info("a membership given by hand stays", user_id=subject.user_id, role=held)
        else:
            # Also where a person changed it meanwhile: what a group gives, the group decides.
            if held != role:
                await self._memberships.change_role(
                    subject.organization_id, subject.user_id, role, actor=actor, rank="owner"
                )
            await self._database.execute(_NOTE, subject.noted(role), organization_id=subject.organization_id)

    async def _held(self, subject: "_Subject") -> Role | None:
        row = await self._database.fetch_one(
            "select role from memberships where organization_id = %s and user_id = %s",
            (subject.organization_id, subject.user_id),
            organization_id=subject.organization_id,
        )
        return None if row is None else row["role"]

    async def _give(self, subject: "_Subject", role: Role, actor: Actor) -> None:
        async with self._database.transaction(subject.organization_id) as connection:
            await self._memberships.add(
                subject.organization_id, subject.user_id, role, actor=actor, connection=connection
            )
            await connection.execute(_NOTE, subject.noted(role))

    async def _forget(self, subject: "_Subject") -> None:
        await self._database.execute(
            "delete from mapped_memberships where provider_id = %s and user_id = %s and organization_id = %s",
            (subject.provider_id, subject.user_id, subject.organization_id),
            organization_id=subject.organization_id,
        )


@dataclass(frozen=True, slots=True)
class _Subject:
    """A user in one organization, as a provider sees them; ``was_given``: the membership there came from it."""

    organization_id: str
    user_id: str
    provider_id: str
    was_given: bool

    def noted(self, role: Role) -> tuple[str, str, str, str]:
        return self.provider_id, self.user_id, self.organization_id, role


_NOTE = (
    "insert into mapped_memberships (provider_id, user_id, organization_id, role) values (%s, %s, %s, %s) "
    "on conflict (provider_id, user_id, organization_id) do update set role = excluded.role, mapped_at = now()"
)
