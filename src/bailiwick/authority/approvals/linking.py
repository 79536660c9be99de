"""Links to approvals for channels that cannot answer themselves: good once, for one person, who logs in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.authority.approvals.errors import NoApproverError
from bailiwick.identity.people.one_time_links import MAX_TOKEN_CHARACTERS, LinkRefusedError, hash_of_token, new_token
from bailiwick.kernel.clock import Clock
from bailiwick.kernel.errors import ConflictError, NotFoundError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.storage import Database

LINK_HOURS = 24
"""How long a link is good at most; never longer than its approval can be answered."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was made; its ``token`` is shown only now."""

    id: str
    approval_id: str
    user_id: str
    expires_at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Which approval a link leads to."""

    organization_id: str
    approval_id: str


class ApprovalLinks:
    """The links of all organizations. One opens the approval for its person and answers nothing."""

    def __init__(self, database: Database, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def make(self, organization_id: str, approval_id: str, user_id: str, *, actor: Actor) -> Link:
        """Make a link to an approval that waits, for a person who may answer it or was delegated to.

        Raises:
            NotFoundError: there is no such approval here.
            ConflictError: it is over.
            NoApproverError: that person may not answer it.
        """
        now = self._clock.now()
        token = new_token()
        async with self._database.transaction(organization_id) as connection:
            cursor = await connection.execute(
                "select a.id, a.state, a.expires_at, %(user)s::uuid in (select approval_electorate(a.id)) "
                "or exists (select from approval_delegations d where d.organization_id = a.organization_id "
                "and d.to_user = %(user)s::uuid and d.from_user in (select approval_electorate(a.id)) "
                "and approval_delegation(a, d.from_user, d.to_user, false, %(now)s) is not null) as may "
                "from approvals a where a.id = %(approval)s::uuid",
                {"user": parse_id(user_id), "approval": parse_id(approval_id), "now": now},
            )
            row = await cursor.fetchone()
            if row is None:
                raise NotFoundError(f"no approval {approval_id[:50]!r} in this organization")
            if row["state"] != "waiting" or row["expires_at"] <= now:
                raise ConflictError("this approval is over, so nothing is left to open it for")
            if not row["may"]:
                raise NoApproverError("that person may not answer this approval; it lists who may")
            link = Link(
                new_id(), row["id"], parse_id(user_id) or user_id,
                min(row["expires_at"], now + timedelta(hours=LINK_HOURS)), token,
            )  # fmt: skip
            await connection.execute(
                "insert into approval_links (id, organization_id, approval_id, user_id, token_hash, made_by, "
                "expires_at) values (%s, %s, %s, %s, %s, %s, %s)",
                (
                    link.id, organization_id, link.approval_id, link.user_id, hash_of_token(token),
                    f"{actor.kind}:{actor.id}", link.expires_at,
                ),
            )  # fmt: skip
            after = {"link": link.id, "user": link.user_id, "expires_at": link.expires_at}
            act = Act(organization_id, "approval.link_made", actor, f"approval:{link.approval_id}", after=after)
            await self._audit.record(act, connection=connection)
        return link

    async def redeem(self, token: str, user_id: str, *, actor: Actor) -> Redeemed:
        """Use a link up, for the logged-in person it was made for, and say where it leads.

        Raises:
            LinkRefusedError: it was used, is over, never was one, or is another person's.
        """
        hashed = hash_of_token(token[:MAX_TOKEN_CHARACTERS])
        found = await self._database.fetch_one("select approval_link_organization(%s) as organization_id", (hashed,))
        organization_id = None if found is None else found["organization_id"]
        if organization_id is None:
            raise _refused()
        async with self._database.transaction(organization_id) as connection:
            # Of two at once the second waits here and then finds it used; somebody else uses nothing up.
            cursor = await connection.execute(
                "update approval_links set used_at = %(now)s where token_hash = %(hash)s and user_id = %(user)s "
                "and used_at is null and expires_at > %(now)s returning id, approval_id",
                {"now": self._clock.now(), "hash": hashed, "user": user_id},
            )
            row = await cursor.fetchone()
            if row is None:
                raise _refused()
            act = Act(
                organization_id, "approval.link_opened", actor, f"approval:{row['approval_id']}",
                after={"link": row["id"]},
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        return Redeemed(organization_id, row["approval_id"])


def _refused() -> LinkRefusedError:
    return LinkRefusedError(
        "this link was used, its time is over, or it is for somebody else; log in and list what waits instead"
    )
