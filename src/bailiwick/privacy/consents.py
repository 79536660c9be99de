"""Consents: asked for, given, withdrawn, lapsed; each change kept with its evidence."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.events import EventLog, NewEvent
from bailiwick.kernel.errors import ConflictError, InvalidInputError
from bailiwick.kernel.ids import new_id, parse_id
from bailiwick.privacy.errors import ConsentMissingError
from bailiwick.privacy.facts import CONSENT_CHANGED, CONSENT_WITHDRAWN
from bailiwick.privacy.purposes import PENDING_DAYS, PERIODS, ConsentState, Purpose, may_become
from bailiwick.privacy.subjects import Subjects
from bailiwick.storage import Database, Row
from bailiwick.storage.connections import Connection
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of
from bailiwick.vault import Vault

_NOTE = "privacy.consent_note"
_MAX_NOTE = 4_000
LAPSE = "its period is over"
# By the database's clock, whether or not somebody has written the lapse down yet.
_STATE = "case when c.expires_at <= now() and c.state in ('pending', 'granted') then 'expired' else c.state::text end"
_COLUMNS = f"c.id, c.organization_id, c.subject_id, c.purpose, {_STATE} as state, c.expires_at, c.changed_at"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a consent came about: by which means, to which version of the text, in what words if any."""

    method: str
    text_version: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """Where one person stands on one purpose. Lapses at ``expires_at`` by itself."""

    id: str
    organization_id: str
    subject_id: str
    purpose: Purpose
    state: ConsentState
    expires_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentChange:
    """One change of a consent with its evidence; the note is None once the person was erased."""

    id: str
    purpose: Purpose
    from_state: ConsentState | None
    to_state: ConsentState
    actor_kind: str
    actor_id: str
    method: str
    text_version: str | None
    changed_at: datetime


class Consents:
    """The consents of all organizations. Nothing is cached: every question asks the database."""

    def __init__(self, database: Database, subjects: Subjects, vault: Vault, events: EventLog, audit: AuditLog) -> None:
        self._database = database
        self._subjects = subjects
        self._vault = vault
        self._events = events
        self._audit = audit

    async def require(self, organization_id: str, subject: str, purpose: str) -> None:
        """Return if the person consents to the purpose now, by the database's clock.

        ``subject`` is an id, or ``email:...``, ``login:...``, ``user:...``. It is
        what agents and packs call before they process, and what the engine asks
        for task kinds and event types that declare a concern.

        Raises:
            ConsentMissingError: never asked, not answered, denied, withdrawn, lapsed, or nobody of that name.
            InvalidInputError: no such purpose.
        """
        wanted = purpose_of(purpose)
        subject_id = parse_id(subject)
        if subject_id is None:
            found = await self._subjects.find(organization_id, subject)
            subject_id = None if found is None else found.id
        row = None if subject_id is None else await self._database.fetch_one(
            f"select {_STATE} as state from consents c "
            "where c.organization_id = %s and c.subject_id = %s and c.purpose = %s",
            (organization_id, subject_id, wanted),
            organization_id=organization_id,
        )  # fmt: skip
        if row is None or row["state"] != ConsentState.GRANTED:
            # Without what the person is known by: this goes into logs and journals.
            who = "a person not registered here" if subject_id is None else f"subject {subject_id}"
            state = "was never asked for" if row is None else f"is {row['state']}"
            raise ConsentMissingError(f"consent of {who} to {wanted} {state}; it must be granted first")

    async def is_granted(self, organization_id: str, subject: str, purpose: str) -> bool:
        """Tell what ``require`` would find; nobody consents to a purpose there is not, or under a shared name."""
        try:
            await self.require(organization_id, subject, purpose)
        except (ConsentMissingError, InvalidInputError, ConflictError):
            return False
        return True

    async def ask(
        self, organization_id: str, subject_id: str, purpose: str, *, evidence: Evidence, actor: Actor
    ) -> Consent:
        """Note that the person was asked; it lapses unanswered after 30 days."""
        return await self._change(
            organization_id, subject_id, purpose, ConsentState.PENDING, evidence=evidence, actor=actor
        )

    async def grant(
        self, organization_id: str, subject_id: str, purpose: str, *, evidence: Evidence, actor: Actor
    ) -> Consent:
        """Note that the person consents, from now until the purpose's period is over; renews one that stands."""
        return await self._change(
            organization_id, subject_id, purpose, ConsentState.GRANTED, evidence=evidence, actor=actor
        )

    async def deny(
        self, organization_id: str, subject_id: str, purpose: str, *, evidence: Evidence, actor: Actor
    ) -> Consent:
        """Note that the person refuses."""
        return await self._change(
            organization_id, subject_id, purpose, ConsentState.DENIED, evidence=evidence, actor=actor
        )

    async def withdraw(
        self, organization_id: str, subject_id: str, purpose: str, *, evidence: Evidence, actor: Actor
    ) -> Consent:
        """Note that the person takes a consent back; whatever asks after this commits is refused.

        Publishes ``consent.withdrawn`` in the same transaction, so that subscribers act on it.
        """
        return await self._change(
            organization_id, subject_id, purpose, ConsentState.WITHDRAWN, evidence=evidence, actor=actor
        )

    async def list(
        self, organization_id: str, *, subject_id: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Consent]:
        """Return a page of consents, newest first, of one person if given."""
        limit = checked_limit(limit)
        rows = await self._database.fetch_all(
            f"select {_COLUMNS} from consents c where c.organization_id = %(org)s "
            "and (%(subject)s::uuid is null or c.subject_id = %(subject)s) "
            "and (%(after)s::uuid is null or c.id < %(after)s) order by c.id desc limit %(limit)s",
            {"org": organization_id, "subject": subject_id, "after": after_cursor(cursor), "limit": limit + 1},
            organization_id=organization_id,
        )
        return page_of([_consent(row) for row in rows], limit)

    async def history(self, organization_id: str, subject_id: str, purpose: str) -> Sequence[ConsentChange]:
        """Return every change of one consent, oldest first."""
        rows = await self._database.fetch_all(
            "select id, purpose, from_state::text, to_state::text, actor_kind, actor_id, method, text_version, "
            "changed_at from consent_changes where organization_id = %s and subject_id = %s and purpose = %s "
            "order by id",
            (organization_id, subject_id, purpose_of(purpose)),
            organization_id=organization_id,
        )
        return [
            ConsentChange(
                row["id"], Purpose(row["purpose"]),
                None if row["from_state"] is None else ConsentState(row["from_state"]), ConsentState(row["to_state"]),
                row["actor_kind"], row["actor_id"], row["method"], row["text_version"], row["changed_at"],
            )
            for row in rows
        ]  # fmt: skip

    async def expire(self, organization_id: str, *, limit: int = 500) -> int:
        """Write down which consents have lapsed; returns how many. They permitted nothing since they did."""
        rows = await self._database.fetch_all(
            "select subject_id, purpose from consents where organization_id = %s and expires_at <= now() "
            "and state in ('pending', 'granted') order by expires_at limit %s",
            (organization_id, limit),
            organization_id=organization_id,
        )
        written = 0
        for row in rows:
            # One that was renewed in this moment is left alone.
            with suppress(ConflictError):
                await self._change(
                    organization_id,
                    row["subject_id"],
                    row["purpose"],
                    ConsentState.EXPIRED,
                    evidence=Evidence(LAPSE),
                    actor=SYSTEM,
                )
                written += 1
        return written

    async def _change(
        self,
        organization_id: str,
        subject_id: str,
        purpose: str,
        state: ConsentState,
        *,
        evidence: Evidence,
        actor: Actor,
    ) -> Consent:
        wanted = purpose_of(purpose)
        subject = await self._subjects.get(organization_id, subject_id)
        if subject.erased_at is not None and state is not ConsentState.EXPIRED:
            raise ConflictError("this person was erased; register them anew before they are asked for anything")
        note = await self._sealed(subject.organization_id, subject.id, evidence)
        async with self._database.transaction(organization_id) as connection:
            before, has_lapsed = await _locked(connection, organization_id, subject.id, wanted)
            change = _Change(organization_id, subject.id, wanted, evidence, note, actor)
            if has_lapsed and state is not ConsentState.EXPIRED:
                # Nobody wrote the lapse down yet; the history must not miss it.
                await change.write(connection, before, ConsentState.EXPIRED)
                before = ConsentState.EXPIRED
            if not may_become(before, state) or (state is ConsentState.EXPIRED and not has_lapsed):
                stands = "was never asked for" if before is None else f"is {before}"
                raise ConflictError(f"consent to {wanted} {stands}; it cannot become {state} now")
            await change.write(connection, before, state)
            facts = {"subject_id": subject.id, "purpose": wanted, "state": state}
            # Withdrawing is its own fact, for it is the one that others must act on.
            type_name = CONSENT_WITHDRAWN if state is ConsentState.WITHDRAWN else CONSENT_CHANGED
            await self._events.append(connection, organization_id, [NewEvent(type_name, facts)])
            act = Act(
                organization_id, f"consent.{state}", actor, f"subject:{subject.id}",
                before={"purpose": wanted, "state": before}, after={"purpose": wanted, "state": state},
                reason=evidence.method,
            )  # fmt: skip
            await self._audit.record(act, connection=connection)
        row = await self._database.fetch_one(
            f"select {_COLUMNS} from consents c where c.subject_id = %s and c.purpose = %s",
            (subject.id, wanted),
            organization_id=organization_id,
        )
        if row is None:
            raise ConflictError("the consent was removed while it was changed; try again")
        return _consent(row)

    async def _sealed(self, organization_id: str, subject_id: str, evidence: Evidence) -> bytes | None:
        if evidence.note is None:
            return None
        if len(evidence.note) > _MAX_NOTE:
            raise InvalidInputError(f"a note has at most {_MAX_NOTE} characters")
        return await self._vault.seal(organization_id, evidence.note.encode(), purpose=_NOTE, subject_id=subject_id)


def purpose_of(name: str) -> Purpose:
    """Return a purpose by its name.

    Raises:
        InvalidInputError: there is none; the message lists them.
    """
    try:
        return Purpose(name.replace("-", "_"))
    except ValueError:
        raise InvalidInputError(f"no purpose {name[:50]!r}; use one of {', '.join(Purpose)}") from None


async def _locked(
    connection: Connection, organization_id: str, subject_id: str, purpose: Purpose
) -> tuple[ConsentState | None, bool]:
    """Return the state as it is written, and whether it has lapsed since; nobody else changes it meanwhile."""
    # On the person's row, which is there even before the first consent.
    await connection.execute("select from data_subjects where id = %s for no key update", (subject_id,))
    cursor = await connection.execute(
        "select state::text as state, coalesce(expires_at <= now(), false) and state in ('pending', 'granted') "
        "as has_lapsed from consents where organization_id = %s and subject_id = %s and purpose = %s",
        (organization_id, subject_id, purpose),
    )
    row = await cursor.fetchone()
    return (None, False) if row is None else (ConsentState(row["state"]), bool(row["has_lapsed"]))


@dataclass(frozen=True, slots=True)
class _Change:
    organization_id: str
    subject_id: str
    purpose: Purpose
    evidence: Evidence
    note: bytes | None
    actor: Actor

    async def write(self, connection: Connection, before: ConsentState | None, state: ConsentState) -> None:
        days = {ConsentState.PENDING: PENDING_DAYS, ConsentState.GRANTED: PERIODS[self.purpose].expiry_days}.get(state)
        cursor = await connection.execute(
            "insert into consents (id, organization_id, subject_id, purpose, state, expires_at) "
            "values (%s, %s, %s, %s, %s::consent_state, now() + make_interval(days => %s::int)) "
            "on conflict (subject_id, purpose) do update "
            "set state = excluded.state, expires_at = excluded.expires_at, changed_at = now() returning id",
            (new_id(), self.organization_id, self.subject_id, self.purpose, state, days),
        )
        row = await cursor.fetchone()
        assert row is not None
        is_lapse = state is ConsentState.EXPIRED
        await connection.execute(
            "insert into consent_changes (id, organization_id, consent_id, subject_id, purpose, from_state, to_state, "
            "actor_kind, actor_id, method, text_version, sealed_note) "
            "values (%s, %s, %s, %s, %s, %s::consent_state, %s::consent_state, %s, %s, %s, %s, %s)",
            (
                new_id(), self.organization_id, row["id"], self.subject_id, self.purpose, before, state,
                SYSTEM.kind if is_lapse else self.actor.kind, SYSTEM.id if is_lapse else self.actor.id,
                LAPSE if is_lapse else self.evidence.method, None if is_lapse else self.evidence.text_version,
                None if is_lapse else self.note,
            ),
        )  # fmt: skip


def _consent(row: Row) -> Consent:
    return Consent(
        row["id"], row["organization_id"], row["subject_id"], Purpose(row["purpose"]), ConsentState(row["state"]),
        row["expires_at"], row["changed_at"],
    )  # fmt: skip
