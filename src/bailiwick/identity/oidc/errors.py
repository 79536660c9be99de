"""Errors of logins with identity providers."""

from bailiwick.kernel.errors import ForbiddenError, UnauthorizedError, UnavailableError


class IdentityProviderError(UnavailableError):
    """The identity provider does not answer, or not as its protocol wants."""

    code = "identity_provider.unavailable"


class IdentityUnprovenError(UnauthorizedError):
    """What came back from a login at a provider proves nothing; the login has to begin again."""

    code = "identity.unproven"


class IdentityRefusedError(ForbiddenError):
    """The provider says who it is, and the provider's policy here lets nobody in who is like that."""

    code = "identity.refused"
