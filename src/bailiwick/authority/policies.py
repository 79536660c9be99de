"""Policies as rows: put in force by a new version, never changed."""

import asyncio
import difflib
import hashlib
import itertools
import textwrap
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

import psycopg

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.authority.cases import explained, run_cases
from bailiwick.authority.policy.built_in import built_in_ceiling, built_in_ceiling_source
from bailiwick.authority.policy.entries import PolicySyntaxError
from bailiwick.authority.policy.facts import POLICY_CHANGED
from bailiwick.authority.policy.index import NO_POLICY, RuleIndex
from bailiwick.authority.policy.model import Policy
from bailiwick.authority.policy.reading import read_policy
from bailiwick.events import EventLog, NewEvent
from bailiwick.identity.people.persons import check_person
from bailiwick.kernel.errors import ConflictError, InternalError, InvalidInputError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, cursor_of

MAX_BYTES = 2_000_000
"""Of a policy's text as UTF-8; ``entries`` bounds the characters."""

_COMPILED = 256
_MAX_NOTE = 2_000
_SHOWN_FAILURES = 10
_WRITTEN: LiteralString = "organization_id, version, source, digest, note, put_by_kind, put_by_id, put_by_name"
_COLUMNS: LiteralString = f"{_WRITTEN}, put_at"


class PolicyTestsFailedError(InvalidInputError):
    """A policy's own tests do not come out as they promise, so it is not put in force."""

    code = "policy.tests_failed"


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A version of a policy, as it was written; ``digest`` is the SHA-256 of its text."""

    organization_id: str
    version: int
    source: str
    digest: str
    note: str | None
    put_by_kind: str
    put_by_id: str
    put_by_name: str
    # None: it comes with the platform.
    put_at: datetime | None


class Policies:
    """The policies of all organizations; that of INSTALLATION is the ceiling, which holds for every one.

    Until an own ceiling is put, the built-in one is in force as version 0.
    A version never changes, so what was compiled of it is remembered.
    """

    def __init__(self, database: Database, audit: AuditLog, events: EventLog) -> None:
        self._database = database
        self._audit = audit
        self._events = events
        self._compiled: OrderedDict[tuple[str, int], RuleIndex] = OrderedDict()

    async def put(
        self, organization_id: str, source: str, *, actor: Actor, note: str | None = None, based_on: int | None = None
    ) -> PolicyRecord:
        """Put a policy in force as the next version and return it; the same text again changes nothing.

        ``based_on`` is the version that the writer saw, 0 for none. In the same
        transaction ``policy.changed`` is published (not of the ceiling, which
        is nobody's) and the act is audited.

        Raises:
            PolicySyntaxError: with every fault and its line.
            PolicyTestsFailedError: its own tests fail; the message says which and how.
            ConflictError: another version is in force than the one it is based on.
            ForbiddenError: a program asks; what agents may do is for people to say.
        """
        check_person(actor, "policies are put in force by people", or_platform=True)
        if note is not None and len(note) > _MAX_NOTE:
            raise InvalidInputError(f"a note has at most {_MAX_NOTE:,} characters")
        is_ceiling = organization_id == INSTALLATION
        policy = await asyncio.to_thread(checked_policy, source, is_ceiling=is_ceiling)
        digest = hashlib.sha256(source.encode()).hexdigest()
        try:
            async with self._database.transaction(organization_id) as connection:
                before = await _newest(connection, organization_id)
                in_force = 0 if before is None else before.version
                if based_on is not None and based_on != in_force:
                    raise ConflictError(
                        f"version {in_force} is in force by now, not {based_on}; look at what changed with "
                        f"bailiwick policy diff {based_on} {in_force}, and put yours again"
                    )
                if before is not None and before.digest == digest:
                    return before
                new = PolicyRecord(
                    organization_id, in_force + 1, source, digest, note, actor.kind, actor.id, actor.name,
                    datetime.now(UTC),
                )  # fmt: skip
                made = await _insert(connection, new)
                fact = {"version": made.version, "digest": digest, "rules": len(policy.rules)}
                if not is_ceiling:
                    await self._events.append(connection, organization_id, [NewEvent(POLICY_CHANGED, fact)])
                old = None if before is None else {"version": before.version, "digest": before.digest}
                act = Act(
                    organization_id,
                    POLICY_CHANGED,
                    actor,
                    f"policy:{made.version}",
                    before=old,
                    after=fact,
                    reason=note,
                )
                await self._audit.record(act, connection=connection)
        except psycopg.errors.UniqueViolation as error:
            raise ConflictError("somebody put another version in this moment; look at it and try again") from error
        return made

    async def get(self, organization_id: str, version: int | None = None) -> PolicyRecord:
        """Return a version, the one in force if none is named; version 0 of the ceiling comes with the platform.

        Raises:
            NotFoundError: there is none.
        """
        async with self._database.transaction(organization_id) as connection:
            found = (
                await _newest(connection, organization_id)
                if version is None
                else await _version(connection, organization_id, version)
            )
        if found is None and organization_id == INSTALLATION and version in (None, 0):
            return _built_in()
        if found is None:
            wanted = "no policy yet; put one with: bailiwick policy put FILE"
            raise NotFoundError(wanted if version is None else f"no version {version} of this policy")
        return found

    async def history(self, organization_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[PolicyRecord]:
        """Return a page of versions, newest first."""
        limit = checked_limit(limit)
        after = after_cursor(cursor)
        # A cursor is an id, and a version is a number: it travels as one.
        below = None if after is None else min(UUID(after).int, 2**31 - 1)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from policies where organization_id = %(org)s "
            "and (%(below)s::int is null or version < %(below)s) order by version desc limit %(limit)s",
            {"org": organization_id, "below": below, "limit": limit + 1},
            organization_id=organization_id,
        )
        found = [PolicyRecord(**row) for row in rows[:limit]]
        return Page(found, cursor_of(str(UUID(int=found[-1].version))) if len(rows) > limit else None)

    async def difference(self, organization_id: str, old: int, new: int | None = None) -> str:
        """Return what changed between two versions as a unified diff; version 0 is empty, None the one in force."""
        to = await self.get(organization_id, new)
        before = "" if old == 0 and organization_id != INSTALLATION else (await self.get(organization_id, old)).source
        lines = difflib.unified_diff(
            before.splitlines(), to.source.splitlines(), f"version {old}", f"version {to.version}", lineterm=""
        )
        return "\n".join(lines)

    async def rule_texts(self, organization_id: str, version: int) -> Mapping[str, tuple[int, str]]:
        """Return where each rule of a version begins and how it is written; empty where it cannot be read."""
        source = await self._find_source(organization_id, version)
        return {} if source is None else await asyncio.to_thread(_rule_texts, source)

    async def compiled(
        self, organization_id: str, own: int, ceiling: int, connection: Connection
    ) -> tuple[RuleIndex, RuleIndex]:
        """Return versions of an organization's rules and the ceiling's, in a transaction of the organization.

        Which are in force its database function ``policy_versions`` says.

        Raises:
            InternalError: a version cannot be read; nothing may be decided then.
        """
        return (
            await self._index(organization_id, own, connection),
            await self._index(INSTALLATION, ceiling, connection),
        )

    async def _find_source(self, organization_id: str, version: int) -> str | None:
        if organization_id == INSTALLATION and version == 0:
            return built_in_ceiling_source()
        if organization_id == INSTALLATION:
            row = await self._database.fetch_one("select policy_ceiling(%s) as source", (version,))
        else:
            row = await self._database.fetch_one(
                "select source from policies where organization_id = %s and version = %s",
                (organization_id, version),
                organization_id=organization_id,
            )
        return None if row is None else row["source"]

    async def _index(self, organization_id: str, version: int, connection: Connection) -> RuleIndex:
        if version == 0:
            return built_in_ceiling() if organization_id == INSTALLATION else NO_POLICY
        key = (organization_id, version)
        known = self._compiled.get(key)
        if known is not None:
            self._compiled.move_to_end(key)
            return known
        is_ceiling = organization_id == INSTALLATION
        source = await _source(connection, organization_id, version)
        try:
            made = await asyncio.to_thread(_compiled, source, version, is_ceiling=is_ceiling)
        except PolicySyntaxError as error:
            raise InternalError(
                f"version {version} of the policy in force cannot be read, so nothing is decided; "
                f"put a mended one with bailiwick policy put: {error}"
            ) from error
        self._compiled[key] = made
        if len(self._compiled) > _COMPILED:
            self._compiled.popitem(last=False)
        return made


async def _insert(connection: Connection, record: PolicyRecord) -> PolicyRecord:
    """Write a version; its time is the database's."""
    cursor = await connection.execute(
        f"insert into policies ({_WRITTEN}) values (%(organization_id)s, %(version)s, %(source)s, %(digest)s, "
        f"%(note)s, %(put_by_kind)s, %(put_by_id)s, %(put_by_name)s) returning {_COLUMNS}",
        asdict(record),
    )
    row = await cursor.fetchone()
    assert row is not None
    return PolicyRecord(**row)


def checked_policy(source: str, *, is_ceiling: bool = False) -> Policy:
    """Return a policy that may be put in force: readable, and its own tests pass.

    Raises:
        PolicySyntaxError: with every fault and its line.
        PolicyTestsFailedError: with the tests that fail, and how.
    """
    if "\x00" in source:
        raise PolicySyntaxError("a policy is text; this holds a zero byte")
    policy = read_policy(source, is_ceiling=is_ceiling)
    report = run_cases(policy, is_ceiling=is_ceiling)
    if not report.is_passed:
        failures = report.failures
        lines = [line for result in failures[:_SHOWN_FAILURES] for line in explained(result)]
        raise PolicyTestsFailedError(
            f"{len(failures)} of {len(report.results)} of the policy's own tests fail, so it is not put in force:\n"
            + "\n".join(lines)
        )
    return policy


def _built_in() -> PolicyRecord:
    source = built_in_ceiling_source()
    digest = hashlib.sha256(source.encode()).hexdigest()
    note = "comes with the platform, and holds until a ceiling is put"
    return PolicyRecord(INSTALLATION, 0, source, digest, note, SYSTEM.kind, SYSTEM.id, SYSTEM.name, None)


async def read_in_thread(source: str) -> Policy:
    """Return the policy of a text, read where it holds up nobody; raise PolicySyntaxError with every fault."""
    return await asyncio.to_thread(read_policy, source)


def _rule_texts(source: str) -> Mapping[str, tuple[int, str]]:
    try:
        rules = read_policy(source).rules
    except PolicySyntaxError:
        # Of an older version, which knew other words.
        return {}
    lines = source.splitlines()
    ends = [rule.line - 1 for rule in rules[1:]] + [len(lines)]
    return {rule.name: (rule.line, _text(lines[rule.line - 1 : end])) for rule, end in zip(rules, ends, strict=True)}


def _text(lines: list[str]) -> str:
    # What follows the last rule begins at the margin.
    body = itertools.takewhile(lambda line: not line or line[0] in " -#\t" or line is lines[0], lines)
    return textwrap.dedent("\n".join(body)).rstrip()


def _compiled(source: str, version: int, *, is_ceiling: bool) -> RuleIndex:
    return RuleIndex(read_policy(source, version=version, is_ceiling=is_ceiling))


async def _source(connection: Connection, organization_id: str, version: int) -> str:
    if organization_id == INSTALLATION:
        cursor = await connection.execute("select policy_ceiling(%s) as source", (version,))
    else:
        cursor = await connection.execute(
            "select source from policies where organization_id = %s and version = %s", (organization_id, version)
        )
    row = await cursor.fetchone()
    assert row is not None
    return row["source"]


async def _newest(connection: Connection, organization_id: str) -> PolicyRecord | None:
    cursor = await connection.execute(
        f"select {_COLUMNS} from policies where organization_id = %s order by version desc limit 1",
        (organization_id,),
    )
    return _found(await cursor.fetchone())


async def _version(connection: Connection, organization_id: str, version: int) -> PolicyRecord | None:
    cursor = await connection.execute(
        f"select {_COLUMNS} from policies where organization_id = %s and version = %s",
        (organization_id, version),
    )
    return _found(await cursor.fetchone())


def _found(row: Row | None) -> PolicyRecord | None:
    return None if row is None else PolicyRecord(**row)
