"""What an organization asks of whoever logs in: a second factor, by role."""

from collections.abc import Collection

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.people.permissions import ROLES, Role, parse_role
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import NotFoundError
from bailiwick.storage import Database


class LoginRules:
    """The login rules of all organizations."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def second_factor_roles(self, organization_id: str) -> list[Role]:
        """Return the roles that need a second factor in an organization, from the least to the most."""
        row = await self._database.fetch_one(
            "select settings -> 'login' -> 'second_factor_roles' as roles from organizations where id = %s",
            (organization_id,),
            organization_id=organization_id,
        )
        stored = [] if row is None else row["roles"] or []
        return [role for role in ROLES if role in stored]

    async def require_second_factor(self, organization_id: str, roles: Collection[str], *, actor: Actor) -> None:
        """Ask a second factor of everybody who has one of these roles, from their next login on; none: of nobody.

        Who has no second factor yet sets one up in the middle of that login.

        Raises:
            InvalidInputError: one of them is no role.
            NotFoundError: there is no such organization.
        """
        wanted = {parse_role(role) for role in roles}
        ordered = [role for role in ROLES if role in wanted]
        before = await self.second_factor_roles(organization_id)
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "update organizations set settings = settings || jsonb_build_object('login', "
                "coalesce(settings -> 'login', '{}') || jsonb_build_object('second_factor_roles', %s::jsonb)) "
                "where id = %s",
                (encode(ordered, what="roles").decode(), organization_id),
            )
            if not cursor.rowcount:
                raise NotFoundError("there is no such organization any more")
            act = Act(
                organization_id, "organization.second_factor_required", actor, f"organization:{organization_id}",
                before={"roles": before}, after={"roles": ordered},
            )  # fmt: skip
            await self._audit.record(act, connection=connection)

    async def requires_second_factor(self, user_id: str, *, besides: str | None = None) -> bool:
        """Tell whether an organization that a user belongs to, ``besides`` one, asks a second factor of their role."""
        row = await self._database.fetch_one("select second_factor_required(%s, %s) as is_required", (user_id, besides))
        return row is not None and row["is_required"]
