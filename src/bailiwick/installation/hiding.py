"""Which secrets an installation begins with, so that none of them is ever written down."""

from collections.abc import Iterable

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from bailiwick.installation.settings import Settings
from bailiwick.telemetry.redacting import hide


def hide_secrets_of(settings: Settings, database_urls: Iterable[str]) -> None:
    """Register every secret among the settings and the passwords of the databases."""
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and "://" not in value.get_secret_value():
            hide(value)
    for url in database_urls:
        try:
            password = conninfo_to_dict(url).get("password")
        except ProgrammingError:
            continue  # whoever connects says what is wrong with it
        hide(None if password is None else str(password))
