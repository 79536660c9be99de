"""What an organization may set for its operations, kept under ``operations`` in its settings."""

import math
import time
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bailiwick.audit import SYSTEM, Act, Actor, AuditLog
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.packs.operations.calendar import BusinessCalendar
from bailiwick.packs.operations.priority import Priority
from bailiwick.packs.operations.sla import SLA_SECONDS, SlaPolicy
from bailiwick.storage import Database

_FRESH_SECONDS = 1.0
_MAX_HELD = 1_000
_MAX_SECONDS = 10 * 366 * 86_400

ServiceSeconds = Annotated[int, Field(gt=0, le=_MAX_SECONDS)]
HoldSeconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS)]


class OperationsSettings(BaseModel):
    """The settings of one organization; what is not set keeps its default.

    ``calendar`` is a document as ``BusinessCalendar.from_document`` reads it.
    Below ``needs_person_below`` a classification is no decision: of the six
    demo issues below it, three were wrong.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sla_seconds: dict[str, ServiceSeconds] = Field(default_factory=dict[str, ServiceSeconds])
    calendar: dict[str, Any] | None = None
    needs_person_below: float = Field(default=0.4, ge=0, le=1)
    hold_seconds: dict[str, HoldSeconds] = Field(default_factory=lambda: {"P0": 900.0, "P1": 3600.0})
    max_agents_tried: int = Field(default=2, ge=1, le=10)

    @field_validator("sla_seconds", "hold_seconds")
    @classmethod
    def _knows_priorities(cls, seconds: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(seconds) - set(Priority.__members__))
        if unknown:
            raise ValueError(f"no priority {unknown[0]!r}; use {', '.join(Priority.__members__)}")
        return seconds

    @classmethod
    def of(cls, document: object) -> Self:
        """Read a document, its calendar too.

        Raises:
            InvalidInputError: something in it cannot be used; the message names it.
        """
        try:
            settings = cls.model_validate(document)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            said = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in faults)
            raise InvalidInputError(said) from error
        try:
            _ = settings.policy
        except InvalidInputError as error:
            raise InvalidInputError(f"calendar: {error}") from error
        return settings

    @property
    def policy(self) -> SlaPolicy:
        """The service levels that follow from the settings.

        Raises:
            InvalidInputError: the calendar or a number of seconds cannot be used.
        """
        seconds = {one: self.sla_seconds.get(one.name, SLA_SECONDS[one]) for one in Priority}
        calendar = None if self.calendar is None else BusinessCalendar.from_document(self.calendar)
        return SlaPolicy(seconds=seconds, calendar=calendar)


class SettingsCache:
    """The settings of organizations, at most a second behind what a person set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, tuple[float, OperationsSettings]] = {}

    async def of(self, organization_id: str) -> OperationsSettings:
        """Return the settings of an organization."""
        asked_at, settings = self._held.get(organization_id, (-math.inf, _DEFAULTS))
        if time.monotonic() - asked_at < _FRESH_SECONDS:
            return settings
        settings = await load_settings(self._database, organization_id)
        if len(self._held) >= _MAX_HELD:
            self._held.pop(next(iter(self._held)))
        self._held[organization_id] = (time.monotonic(), settings)
        return settings


async def stored_settings(database: Database, organization_id: str) -> object:
    """Return what an organization has set, as it is stored and unchecked; an empty object where nothing is."""
    row = await database.fetch_one(
        "select settings -> 'operations' as operations from organizations where id = %s",
        (organization_id,),
        organization_id=organization_id,
    )
    found = (row or {}).get("operations")
    return {} if found is None else found


async def load_settings(database: Database, organization_id: str) -> OperationsSettings:
    """Return the settings of an organization.

    Raises:
        InvalidInputError: what is stored cannot be used; the message names it and how to mend it.
    """
    try:
        return OperationsSettings.of(await stored_settings(database, organization_id))
    except InvalidInputError as error:
        raise InvalidInputError(
            f"the operations settings of this organization cannot be used ({error}); mend them with: "
            f"bailiwick orgs settings set {organization_id} NAME=VALUE"
        ) from error


async def save_settings(
    database: Database, organization_id: str, document: Mapping[str, Any], *, actor: Actor = SYSTEM
) -> OperationsSettings:
    """Store what an organization sets, in place of what it had set.

    Raises:
        InvalidInputError: something in it is unknown or cannot be used; nothing is stored then.
    """
    unknown = sorted(set(document) - set(OperationsSettings.model_fields))
    if unknown:
        raise InvalidInputError(f"no setting {unknown[0]!r}; there are: {', '.join(OperationsSettings.model_fields)}")
    settings = OperationsSettings.of(document)
    before = await stored_settings(database, organization_id)
    async with database.transaction(organization_id) as connection:
        await connection.execute(
            "update organizations set settings = settings || jsonb_build_object('operations', %s::jsonb) where id = %s",
            (encode(document, what="settings").decode(), organization_id),
        )
        act = Act(
            organization_id, "settings.changed", actor, "settings:operations",
            before={"settings": before}, after={"settings": dict(document)},
        )  # fmt: skip
        await AuditLog(database).record(act, connection=connection)
    return settings


_DEFAULTS = OperationsSettings()
