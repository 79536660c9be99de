"""The classes of data that retention knows, with how long each is kept where an organization sets nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from bailiwick.privacy.locations import AUDIT, GDPR, OPERATIONS, SECURITY

_YEAR = 365


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """A class of data. ``default_days`` None: as long as the installation keeps its months.

    ``shortest_days`` is what an organization may not go below.
    """

    name: str
    about: str
    default_days: int | None
    shortest_days: int = 1


RETENTION_CLASSES: Mapping[str, RetentionClass] = {
    one.name: one
    for one in (
        RetentionClass(OPERATIONS, "events, tasks, their journals, records that were refused", None),
        # The periods of the three that follow are the requirement's.
        RetentionClass(AUDIT, "the audit log (SOC 2: 7 years); append-only, nothing of it is deleted", 7 * _YEAR,
                       shortest_days=7 * _YEAR),
        RetentionClass(GDPR, "requests about personal data, their certificates, released holds", 3 * _YEAR),
        RetentionClass(SECURITY, "sessions, invitations and what logins leave behind", 5 * _YEAR),
    )
}  # fmt: skip
