"""Keys that open the doors. Only a hash is stored; the key itself is shown once."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from bailiwick.audit import Act, Actor, AuditLog
from bailiwick.identity.model import MACHINE, Caller
from bailiwick.identity.people.permissions import GRANTS, Role, parse_role
from bailiwick.identity.tokens.key_bounds import KeyBounds, check_revokes, installation_bounds, organization_bounds
from bailiwick.kernel.errors import InvalidInputError, NotFoundError, UnauthorizedError
from bailiwick.kernel.ids import INSTALLATION, new_id, parse_id
from bailiwick.storage import Database, Row
from bailiwick.storage.pages import Page, after_cursor, checked_limit, page_of

_PREFIX = "bw_"
# More organizations than this are counted in an error and not named.
_NAMED_PLACES = 20
_SHOWN_CHARACTERS = len(_PREFIX) + 6
_RECORD = (
    "select k.id, k.name, k.prefix, o.slug as organization, k.role, k.scopes, u.name as user_name, "
    "s.name as service_account, k.created_at, k.last_used_at, k.expires_at from api_keys k "
    "left join organizations o on o.id = k.organization left join users u on u.id = k.user_id "
    "left join service_accounts s on s.id = k.service_account_id "
    "where k.organization_id = %(organization)s and k.revoked_at is null "
)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key; ``prefix`` are its first characters, ``organization`` None opens everything.

    It may do what its ``role`` may, or only ``scopes`` of that. It belongs to
    the person or the service account named, or to whoever runs the machine.
    """

    id: str
    name: str
    prefix: str
    organization: str | None
    role: str | None
    scopes: list[str] | None
    user_name: str | None
    service_account: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key: ``key`` itself, which cannot be shown again, and what is stored of it."""

    key: str
    record: KeyRecord


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a new key is, and until when it may live at most."""

    user_id: str | None = None
    service_account_id: str | None = None
    role: Role | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _NewKey:
    name: str
    organization_id: str
    owner: _Owner
    bounds: KeyBounds
    expires_at: datetime | None
    made_by: frozenset[str]


class Keys:
    """API keys. They carry 256 random bits, so a plain fast hash is enough to store them."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def issue(self, name: str, *, organization_id: str | None = None) -> str:
        """Make a key as whoever runs the machine, and return it; it cannot be shown again.

        Without an organization it opens the whole installation.
        """
        return (await self.make(name, organization_id=organization_id)).key

    async def make(
        self,
        name: str,
        *,
        organization_id: str | None = None,
        role: str | None = None,
        scopes: Collection[str] | None = None,
        expires_at: datetime | None = None,
        service_account: str | None = None,
        maker: Caller = MACHINE,
        address: str | None = None,
    ) -> IssuedKey:
        """Make a key to an organization, or to the whole installation without one; audited as ``key.created``.

        It may do what ``role`` may, or only ``scopes`` of that, and never what
        its maker may not. It is the maker's own or that of a service account,
        whose role it then has, and lives no longer than a key it is made with.

        Raises:
            InvalidInputError: no such role or permission, or an expiry that is past.
            ForbiddenError: the maker may not make such a key.
            NotFoundError: no such service account.
        """
        if not 1 <= len(name.strip()) <= 200 or not name.isprintable():
            raise InvalidInputError("a key's name has 1 to 200 printable characters; it says what the key is for")
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidInputError("the key would have expired already; give a moment to come")
        place = organization_id or INSTALLATION
        owner = await self._owner(maker, place, service_account)
        wanted = None if role is None else parse_role(role)
        if organization_id is None:
            bounds = installation_bounds(maker, wanted, scopes)
        else:
            bounds = organization_bounds(maker, organization_id, wanted, scopes, account_role=owner.role)
        ends = min((moment for moment in (expires_at, owner.expires_at) if moment is not None), default=None)
        new = _NewKey(name.strip(), place, owner, bounds, ends, maker.people)
        return await self._insert(new, maker.actor(address))

    async def authenticate(self, key: str) -> Caller:
        """Return who holds a key.

        Raises:
            UnauthorizedError: nobody does, it was revoked or has expired, or its owner was shut out.
        """
        # Looked up by its hash, so timing tells nothing about stored keys.
        row = await self._database.fetch_one("select * from api_key_holder(%s)", (_hash(key),))
        if row is None:
            raise UnauthorizedError("the key is not known here, was revoked or has expired")
        if row["is_stale"]:
            # Once a minute is exact enough, and keeps reads from writing.
            await self._database.execute(
                "update api_keys set last_used_at = now() where id = %s",
                (row["id"],),
                organization_id=row["organization_id"],
            )
        return _caller(row)

    async def has_admin(self) -> bool:
        """Tell whether an administrator's key exists."""
        row = await self._database.fetch_one(
            "select 1 as one from api_keys where organization_id = %s and revoked_at is null limit 1",
            (INSTALLATION,),
            organization_id=INSTALLATION,
        )
        return row is not None

    async def get(self, organization_id: str, reference: str) -> KeyRecord:
        """Return a key's record by id or name, the newest of that name, or raise NotFoundError."""
        row = await self._database.fetch_one(
            _RECORD + "and (k.id = %(id)s::uuid or k.name = %(name)s) order by k.id desc limit 1",
            {"organization": organization_id, "id": parse_id(reference), "name": reference},
            organization_id=organization_id,
        )
        if row is None:
            raise NotFoundError(f"no key {reference!r}")
        return KeyRecord(**row)

    async def revoke(
        self,
        reference: str,
        *,
        organization_id: str | None = None,
        maker: Caller = MACHINE,
        address: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Revoke the key of that id, or all of that name; of one organization, or of the one that has it.

        Audited as ``key.revoked``. Returns how many there were.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: no organization was given, and several have a key of that name.
            ForbiddenError: a key may do what ``maker`` may not, and is not their own.
        """
        place = organization_id or await self._place_of(reference)
        revoked = await self._revoke(place, reference, maker, maker.actor(address), reason)
        if not revoked:
            raise NotFoundError(f"no key {reference!r}; see the listing of keys")
        return revoked

    async def list(
        self, organization_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[KeyRecord]:
        """Return a page of the keys that are not revoked, of one organization or of all, newest first."""
        limit = checked_limit(limit)
        after = after_cursor(cursor)
        if organization_id is None:
            rows = await self._database.fetch_all("select * from api_key_list(%s, %s)", (after, limit + 1))
        else:
            rows = await self._database.fetch_all(
                _RECORD + "and (%(after)s::uuid is null or k.id < %(after)s) order by k.id desc limit %(limit)s",
                {"organization": organization_id, "after": after, "limit": limit + 1},
                organization_id=organization_id,
            )
        return page_of([KeyRecord(**row) for row in rows], limit)

    async def _owner(self, maker: Caller, place: str, service_account: str | None) -> _Owner:
        expires_at = None
        user_id = maker.id if maker.kind == "user" else None
        service_id = maker.id if maker.kind == "service" else None
        if maker.key_id is not None:
            home = INSTALLATION if maker.is_admin else next(iter(maker.grants), INSTALLATION)
            row = await self._database.fetch_one(
                "select user_id, expires_at from api_keys where id = %s", (maker.key_id,), organization_id=home
            )
            if row is not None:
                user_id, expires_at = row["user_id"], row["expires_at"]
        reference = service_account or service_id
        if reference is None:
            return _Owner(user_id, expires_at=expires_at)
        account = await self._database.fetch_one(
            "select id, role from service_accounts where (id = %s::uuid or name = %s) and not is_disabled",
            (parse_id(reference), reference),
            organization_id=place,
        )
        if account is None:
            raise NotFoundError(f"no enabled service account {reference!r} in this organization")
        return _Owner(None, account["id"], parse_role(account["role"]), expires_at)

    async def _insert(self, new: "_NewKey", actor: Actor) -> IssuedKey:
        key, key_id = _PREFIX + secrets.token_urlsafe(32), new_id()
        place, owner, bounds = new.organization_id, new.owner, new.bounds
        async with self._database.transaction(place) as connection:
            await connection.execute(
                "insert into api_keys (id, organization_id, name, prefix, key_hash, role, scopes, user_id, "
                "service_account_id, expires_at, made_by) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    key_id, place, new.name, key[:_SHOWN_CHARACTERS], _hash(key), bounds.role, bounds.scopes,
                    owner.user_id, owner.service_account_id, new.expires_at, sorted(new.made_by),
                ),
            )  # fmt: skip
            after = {
                "name": new.name, "role": bounds.role, "scopes": bounds.scopes, "user_id": owner.user_id,
                "service_account_id": owner.service_account_id, "made_by": sorted(new.made_by),
                "expires_at": None if new.expires_at is None else new.expires_at.isoformat(),
            }  # fmt: skip
            act = Act(place, "key.created", actor, f"key:{key_id}", after=after)
            await self._audit.record(act, connection=connection)
        return IssuedKey(key, await self.get(place, key_id))

    async def _place_of(self, name: str) -> str:
        identifier = parse_id(name)
        rows = await self._database.fetch_all("select * from api_keys_named(%s, %s)", (name, identifier))
        if identifier is not None:
            rows = [row for row in rows if str(row["id"]) == identifier]
        places = sorted({str(row["organization_id"]) for row in rows})
        if not places:
            raise NotFoundError(f"no key {name!r}; see the listing of keys")
        if len(places) == 1:
            return places[0]
        named = ", ".join(sorted([await self._place_name(place) for place in places[:_NAMED_PLACES]]))
        more = f" and {len(places) - _NAMED_PLACES} more" if len(places) > _NAMED_PLACES else ""
        raise InvalidInputError(
            f"{len(places)} places have a key {name!r}: {named}{more}; say which with --org, or give the key's id"
        )

    async def _place_name(self, place: str) -> str:
        if place == INSTALLATION:
            return "the whole installation (by id only)"
        row = await self._database.fetch_one(
            "select slug from organizations where id = %s", (place,), organization_id=place
        )
        return place if row is None else row["slug"]

    async def _revoke(self, place: str, reference: str, maker: Caller, actor: Actor, reason: str | None) -> int:
        identifier = parse_id(reference)
        async with self._database.transaction(place) as connection:
            cursor = await connection.execute(
                "update api_keys set revoked_at = now() where organization_id = %s and revoked_at is null "
                "and case when %s::uuid is null then name = %s else id = %s end "
                "returning id, name, role, scopes, user_id",
                (place, identifier, reference, identifier),
            )
            rows = await cursor.fetchall()
            for row in rows:
                # A refusal takes the whole transaction back.
                if maker.key_id != row["id"] and (maker.kind != "user" or maker.id != row["user_id"]):
                    check_revokes(maker, place, row["role"], row["scopes"])
                act = Act(place, "key.revoked", actor, f"key:{row['id']}", before={"name": row["name"]}, reason=reason)
                await self._audit.record(act, connection=connection)
        return len(rows)


def _caller(row: Row) -> Caller:
    scopes = None if row["scopes"] is None else frozenset[str](row["scopes"])
    holder = row["user_id"]
    makers = frozenset[str](row["makers"]) - {f"user:{holder}"}
    if row["organization_id"] == INSTALLATION:
        return Caller(
            "key", row["id"], row["name"], is_admin=True, scopes=scopes, key_id=row["id"], holder_id=holder,
            makers=makers,
        )  # fmt: skip
    allowed = GRANTS[row["role"]]
    if row["service_role"] is not None:
        allowed &= GRANTS[row["service_role"]]
    if row["user_id"] is not None and not row["user_is_admin"]:
        allowed &= GRANTS[row["user_role"]]
    if scopes is not None:
        allowed &= scopes
    grants = {str(row["organization_id"]): allowed}
    if row["service_account_id"] is not None:
        return Caller(
            "service", row["service_account_id"], row["service_account"], grants=grants, key_id=row["id"],
            makers=makers,
        )  # fmt: skip
    return Caller("key", row["id"], row["name"], grants=grants, key_id=row["id"], holder_id=holder, makers=makers)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
