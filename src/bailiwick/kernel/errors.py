"""The error tree. Doors translate these; nobody else catches broadly.

BailiwickError
├── InvalidInputError      the caller sent something wrong            422
│   ├── InvalidPayloadError    a payload breaks its schema            422
│   ├── PayloadTooLargeError   a payload exceeds the stated limit     413
│   └── UnknownKindError       no such task kind, event type, agent   422
├── NotFoundError          the thing named does not exist             404
│   └── KeyErasedError         erased: the key that sealed it is gone  410
├── ConflictError          the thing is not in a state that allows it 409
├── UnauthorizedError      no key, or a key nobody knows              401
│   ├── TokenRefusedError      a token that is not good               401
│   └── TokenExpiredError      an access token whose time is over     401
├── ForbiddenError         a known key that may not do this           403
│   └── QuotaExceededError     an organization's quota is used up     403
├── RateLimitedError       asked too often; wait and ask again        429
├── UnavailableError       something we need is down; try again       503
│   ├── DatabaseUnavailableError
│   ├── DiskFullError
│   └── CircuitOpenError       a breaker refuses calls for now
├── CannotDetermineError   an operation lacks an input it needs       422
└── InternalError          a promise of our own is broken             500
"""

from typing import ClassVar


class BailiwickError(Exception):
    """Something went wrong that a person can be told about.

    ``str(error)`` is safe to show: it says what happened and what to do next,
    and never holds a secret. ``code`` is stable; doors and tests rely on it.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class InvalidInputError(BailiwickError):
    """The caller sent something that cannot be accepted as it is."""

    code = "input.invalid"
    http_status = 422


class InvalidPayloadError(InvalidInputError):
    """A payload does not fit the schema of its kind or type."""

    code = "payload.invalid"


class PayloadTooLargeError(InvalidInputError):
    """A payload is larger than the limit that the message states."""

    code = "payload.too_large"
    http_status = 413


class UnknownKindError(InvalidInputError):
    """Nothing is registered under that task kind, event type or agent kind."""

    code = "kind.unknown"


class NotFoundError(BailiwickError):
    """The named thing does not exist, or not for this organization."""

    code = "not_found"
    http_status = 404


class KeyErasedError(NotFoundError):
    """What was asked for is erased: the key that sealed it was destroyed, and nobody can open it again."""

    code = "key.erased"
    http_status = 410


class ConflictError(BailiwickError):
    """The thing exists but is not in a state that allows this."""

    code = "conflict"
    http_status = 409


class UnauthorizedError(BailiwickError):
    """No key was given, or one that nobody knows."""

    code = "unauthorized"
    http_status = 401


class TokenRefusedError(UnauthorizedError):
    """An access or refresh token is forged, revoked, replayed or not for us."""

    code = "token.refused"


class TokenExpiredError(UnauthorizedError):
    """An access token was good and its time is over; a refresh token gets the next."""

    code = "token.expired"


class ForbiddenError(BailiwickError):
    """The key is known but may not do this."""

    code = "forbidden"
    http_status = 403


class QuotaExceededError(ForbiddenError):
    """An organization would use more of a resource than its hard limit; ``resource`` names it.

    403 as Kubernetes answers it, not 429: asking again soon does not help, a new
    month, a cleanup or a higher limit does.
    """

    code = "quota.exceeded"

    def __init__(self, message: str, *, organization_id: str, resource: str) -> None:
        super().__init__(message)
        self.organization_id = organization_id
        self.resource = resource


class RateLimitedError(BailiwickError):
    """Somebody asks more often than allowed; ``retry_after_seconds`` says when the next may pass."""

    code = "rate.limited"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(BailiwickError):
    """Something we depend on does not answer; the same call may succeed later."""

    code = "unavailable"
    http_status = 503
    retryable = True


class DatabaseUnavailableError(UnavailableError):
    """PostgreSQL cannot be reached or refuses to work."""

    code = "database.unavailable"


class DiskFullError(UnavailableError):
    """The disk that holds the data is full; nothing acknowledged is lost."""

    code = "disk.full"


class CircuitOpenError(UnavailableError):
    """A circuit breaker refuses calls until its cool-down is over."""

    code = "circuit.open"


class CannotDetermineError(BailiwickError):
    """An operation lacks an input it needs; ``missing`` names it.

    Agents answer with this instead of inventing a result.
    """

    code = "cannot_determine"
    http_status = 422

    def __init__(self, missing: str) -> None:
        super().__init__(f"cannot determine: {missing} missing")
        self.missing = missing


class InternalError(BailiwickError):
    """A promise of our own code is broken; this is a defect, please report it."""

    code = "internal"
