"""What privacy refuses."""

from bailiwick.kernel.errors import ConflictError, ForbiddenError


class ConsentMissingError(ForbiddenError):
    """The person does not consent to this purpose now; ask them, and do not go on without."""

    code = "consent.missing"


class LegalHoldError(ConflictError):
    """A legal hold stands against this; it must be released first, by somebody who may."""

    code = "legal_hold"
