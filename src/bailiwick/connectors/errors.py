"""What can go wrong with an outside system, told apart by what to do next."""

from datetime import datetime

from bailiwick.kernel.errors import BailiwickError, UnavailableError


class ConnectorRefusedError(BailiwickError):
    """The outside system refused for good: a person has to change the key, its rights or the target."""

    code = "connector.refused"
    http_status = 502


class ConnectorNotFoundError(ConnectorRefusedError):
    """What was asked about is not there, or the key may not see it; the outside system does not say which."""

    code = "connector.not_found"


class ConnectorUnavailableError(UnavailableError):
    """The outside system does not answer or has a fault of its own; the same call may succeed later."""

    code = "connector.unavailable"


class RateLimitedError(UnavailableError):
    """The outside system asks to wait until ``retry_at``."""

    code = "connector.rate_limited"

    def __init__(self, message: str, retry_at: datetime) -> None:
        """Say when the next call may be made."""
        super().__init__(message)
        self.retry_at = retry_at


class SecretMissingError(UnavailableError):
    """A token or secret is not where the configuration says; the same call succeeds once it is there."""

    code = "connector.secret_missing"
