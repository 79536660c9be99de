"""The ten purposes of consent, their periods, and how a consent changes.

```mermaid
stateDiagram-v2
    [*] --> pending: asked
    [*] --> granted: given unasked
    [*] --> denied: refused unasked
    pending --> granted
    pending --> denied
    pending --> expired: no answer in time
    granted --> granted: renewed
    granted --> withdrawn
    granted --> expired: its period is over
    denied --> pending: asked again
    denied --> granted
    withdrawn --> pending: asked again
    withdrawn --> granted
    expired --> pending: asked again
    expired --> granted
    expired --> denied
```

Only ``granted`` permits anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ConsentState(StrEnum):
    """Where a consent stands."""

    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Purpose(StrEnum):
    """What a person may consent to."""

    COLLECTION = "collection"
    PROCESSING = "processing"
    SHARING = "sharing"
    MARKETING = "marketing"
    ANALYTICS = "analytics"
    COOKIES = "cookies"
    LOCATION = "location"
    BIOMETRIC = "biometric"
    THIRD_PARTY = "third_party"
    AI_PROCESSING = "ai_processing"


MOVES: Mapping[ConsentState | None, frozenset[ConsentState]] = {
    None: frozenset({ConsentState.PENDING, ConsentState.GRANTED, ConsentState.DENIED}),
    ConsentState.PENDING: frozenset({ConsentState.GRANTED, ConsentState.DENIED, ConsentState.EXPIRED}),
    ConsentState.GRANTED: frozenset({ConsentState.GRANTED, ConsentState.WITHDRAWN, ConsentState.EXPIRED}),
    ConsentState.DENIED: frozenset({ConsentState.PENDING, ConsentState.GRANTED}),
    ConsentState.WITHDRAWN: frozenset({ConsentState.PENDING, ConsentState.GRANTED}),
    ConsentState.EXPIRED: frozenset({ConsentState.PENDING, ConsentState.GRANTED, ConsentState.DENIED}),
}
"""Which states may follow a state; None stands for "never asked"."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How long a grant lasts, and how long its record is kept after it ended; in days."""

    expiry_days: int
    retention_days: int


_YEAR = 365
# Ours, where the requirement names no period: a grant is asked for anew every year, and the proof of
# it is kept as long as the class "gdpr".
_OURS = Periods(1 * _YEAR, 3 * _YEAR)

PERIODS: Mapping[Purpose, Periods] = {
    **dict.fromkeys(Purpose, _OURS),
    # From the requirement: a year, the record for seven.
    Purpose.COLLECTION: Periods(1 * _YEAR, 7 * _YEAR),
    # From the requirement: two years. It names one period, taken as that of the grant; the retention is ours.
    Purpose.MARKETING: Periods(2 * _YEAR, 3 * _YEAR),
    # From the requirement: one year, the record for two.
    Purpose.ANALYTICS: Periods(1 * _YEAR, 2 * _YEAR),
}

PENDING_DAYS = 30
"""How long a question may stay unanswered; ours."""


def may_become(before: ConsentState | None, after: ConsentState) -> bool:
    """Tell whether a consent may go from one state to another."""
    return after in MOVES[before]
