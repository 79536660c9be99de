"""Approvals on a database of the test's own, under a clock that the test moves."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import psycopg
import pytest

from bailiwick.audit import SYSTEM, Actor, AuditLog
from bailiwick.authority import ApprovalTerms, Decision, Proposal
from bailiwick.authority.approvals import Answered, Answerer, ApprovalRecord, Approvals, Saying
from bailiwick.authority.approvals.facts import EVENT_TYPES
from bailiwick.effects.digest import digest_of
from bailiwick.events import EventLog
from bailiwick.events.registry import EventRegistry
from bailiwick.identity.organizations import Organizations
from bailiwick.identity.people.accounts import Accounts
from bailiwick.identity.people.memberships import Memberships
from bailiwick.identity.people.permissions import Role
from bailiwick.kernel.clock import ManualClock
from bailiwick.kernel.errors import InvalidPayloadError
from bailiwick.kernel.ids import new_id
from bailiwick.storage import Database
from bailiwick.storage.database import trusted
from bailiwick.storage.rows import RowFields
from bailiwick.storage.waking import Wakeups

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
POLICY = "3/1"


class Shelf:
    """One tool, ``comment``, whose text is short."""

    def version(self, tool: str) -> str:
        return "1"

    def checked(self, tool: str, arguments: Any) -> dict[str, Any]:
        if set(arguments) != {"text"} or not isinstance(arguments["text"], str) or len(arguments["text"]) > 100:
            raise InvalidPayloadError("the arguments do not fit comment")
        return dict(arguments)

    digest = staticmethod(digest_of)


class Room:
    """One organization's approvals, with words short enough for tests."""

    def __init__(self, approvals: Approvals, database: Database, clock: ManualClock, organization_id: str) -> None:
        self.approvals = approvals
        self.database = database
        self.clock = clock
        self.organization_id = organization_id
        audit = AuditLog(database)
        self.accounts = Accounts(database, audit)
        self.memberships = Memberships(database, audit)

    @classmethod
    async def furnished(cls, database: Database) -> "Room":
        """An organization with an owner."""
        clock = ManualClock(NOON)
        organization = await Organizations(database).create("Acme")
        made = cls(approvals_of(database, clock), database, clock, organization.id)
        await made.person("owner", "owner")
        return made

    async def person(self, name: str, role: Role | None, *, is_admin: bool = False) -> str:
        """A user of that name with a role here, and the id."""
        user = await self.accounts.create(f"{name}@example.org", name, actor=SYSTEM, is_admin=is_admin)
        if role is not None:
            await self.memberships.add(self.organization_id, user.id, role, actor=SYSTEM)
        return user.id

    async def ask(self, **more: Any) -> ApprovalRecord:
        """A new approval; terms and fields of the proposal by name."""
        fields = {name: more.pop(name) for name in list(more) if name in ApprovalTerms.__dataclass_fields__}
        terms = replace(ApprovalTerms(), **fields)
        made: dict[str, Any] = {
            "organization_id": self.organization_id, "task_id": new_id(), "tool": "comment", "effect_class": "write",
            "arguments": {"text": "hello"}, "target": "issue:7", "at": self.clock.now(), "is_reversible": True,
            "observed": {"comments": 2}, "price": Decimal("0.50"), "reason": "an answer is due",
        } | more  # fmt: skip
        proposal = Proposal(**made)
        decision = Decision(new_id(), "approve", "comments", "people look at comments", 3, 2, terms, ceiling_version=1)
        digest = digest_of(
            proposal.tool, "1", proposal.arguments, target=proposal.target, observed=proposal.observed,
            policy_version=POLICY, price=proposal.price,
        )  # fmt: skip
        async with self.database.transaction(self.organization_id) as connection:
            approval_id = await self.approvals.request(
                proposal, decision, effect_id=new_id(), digest=digest, undo="until it is answered",
                connection=connection,
            )  # fmt: skip
        return await self.approvals.get(self.organization_id, approval_id)

    async def say(self, approval: ApprovalRecord, decision: Any, user_id: str | None, **more: Any) -> Answered:
        """What a person, or for None the administrator, says."""
        digest = more.pop("digest", approval.digest)
        saying = Saying(decision, digest, **more)
        return await self.approvals.answer(self.organization_id, approval.id, saying, answerer(user_id))

    async def state(self, approval: ApprovalRecord) -> str:
        return (await self.approvals.get(self.organization_id, approval.id)).state

    async def events(self, approval: ApprovalRecord) -> list[tuple[str, str]]:
        """What was told about an approval: type and state."""
        rows = await self.database.fetch_all(
            "select type, payload ->> 'state' as state from events where key = %s order by id",
            (approval.id,),
            organization_id=self.organization_id,
        )
        return [(row["type"], row["state"]) for row in rows]

    async def audited(self, approval: ApprovalRecord) -> list[str]:
        """What the audit log says was done to an approval."""
        rows = await self.database.fetch_all(
            "select act from audit_entries where target = %s order by seq",
            (f"approval:{approval.id}",),
            organization_id=self.organization_id,
        )
        return [orjson.loads(row["act"])["action"] for row in rows]


def answerer(user_id: str | None) -> Answerer:
    if user_id is None:
        return Answerer(Actor("system", "account:root", "root on the command line"), None, "cli")
    return Answerer(Actor("user", user_id, "somebody"), user_id, "api")


def as_superuser(login_url: str, sql: str, *values: object) -> None:
    """Change what the application may not."""
    with psycopg.connect(login_url, autocommit=True) as connection:
        connection.execute(trusted(sql), values)


def _nothing_follows(*_: object) -> list[RowFields]:
    return []


def approvals_of(database: Database, clock: ManualClock) -> Approvals:
    """Approvals under a clock."""
    types = EventRegistry()
    for event_type in EVENT_TYPES:
        types.register(event_type)
    events = EventLog(database.url, types, Wakeups(database.url), _nothing_follows)
    return Approvals(database, events, AuditLog(database), Shelf(), clock)


@pytest.fixture
async def room(database: Database) -> Room:
    return await Room.furnished(database)
