"""What can go wrong when something is sealed or opened."""

from bailiwick.kernel.errors import InternalError, UnavailableError


class MasterKeyError(UnavailableError):
    """The master key is missing, unreadable or another one; trying again does not help, a person must provide it."""

    code = "vault.master_key"
    retryable = False


class SealBrokenError(InternalError):
    """A sealed value was changed, or stands where it was not sealed for; its content is not to be had."""

    code = "vault.seal_broken"
