"""The code of an installation without its data: what replays run, where there is no database."""

from collections.abc import Sequence

from bailiwick.extensions import Extension, Registry
from bailiwick.installation.installation import Installation
from bailiwick.installation.installed import installed
from bailiwick.installation.settings import Settings

# Port 1 is nobody's; and nothing connects before an installation is opened.
_NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


def unopened(settings: Settings | None = None, extra: Sequence[Extension] = ()) -> Installation:
    """Return an installation with everything registered that never connects to anything.

    Whatever needs the database raises DatabaseUnavailableError.
    """
    settings = settings or Settings()
    extensions, failed = installed(settings, extra)
    installation = Installation(_NOBODY, settings, Registry(), admin_url=_NOBODY)
    installation.register(extensions, failed)
    return installation
