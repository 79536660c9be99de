"""What a person's key may say to approvals: no more than the role it was made for."""

from bailiwick.authority.approvals.errors import refusal
from bailiwick.authority.approvals.model import Answerer, ApprovalRecord, Saying
from bailiwick.identity.people.permissions import ROLES, parse_role
from bailiwick.kernel.ids import parse_id
from bailiwick.storage.connections import Connection


async def check_key(approval: ApprovalRecord, saying: Saying, answerer: Answerer, connection: Connection) -> None:
    """Refuse the word that a person gives by a key which was made for less than the approval asks for.

    Raises:
        NoApproverError: the key's role is under those that may answer.
    """
    if answerer.actor.kind != "key" or saying.on_behalf_of is not None:
        return
    cursor = await connection.execute("select role from api_keys where id = %s::uuid", (parse_id(answerer.actor.id),))
    row = await cursor.fetchone()
    # An administrator's key is of no organization, and has no role that would bound it.
    if row is None or row["role"] is None:
        return
    also = [approval.escalate_to] if approval.escalated_at is not None and approval.escalate_to is not None else []
    least = min(ROLES.index(parse_role(role)) for role in [*approval.roles, *also])
    if ROLES.index(parse_role(row["role"])) < least:
        raise refusal("stranger")
