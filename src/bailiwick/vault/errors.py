"""What can go wrong when something is sealed or opened."""

from bailiwick.kernel.errors import InternalError, UnavailableError


class MasterKeyError(UnavailableError):
    """The master key is missing, unreadable or another one; the same call succeeds once a person has provided it."""

    code = "vault.master_key"


class SealBrokenError(InternalError):
    """A sealed value was changed, or stands where it was not sealed for; its content is not to be had."""

    code = "vault.seal_broken"
