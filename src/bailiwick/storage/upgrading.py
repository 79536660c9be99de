"""Apply missing migrations with Alembic; apart, because loading it takes most of a second."""

from collections.abc import Sequence
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bailiwick.storage.roles import APPLICATION_ROLE, OWNER_ROLE


def upgrade(url: str, script_location: Path, locations: Sequence[Path]) -> None:
    """Bring a database to the heads of the versions in ``locations``, one transaction each.

    Raises:
        psycopg.Error: as the driver told it.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, options=f"-c role={OWNER_ROLE}"),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", str(script_location))
            config.set_main_option("path_separator", "newline")
            config.set_main_option("version_locations", "\n".join(str(path) for path in locations))
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")
            # The application tells its doctor where the schema stands; it changes nothing of it.
            connection.exec_driver_sql(f"grant select on alembic_version to {APPLICATION_ROLE}")
            connection.commit()
    except DBAPIError as error:
        # Whoever called knows what the driver's errors mean, not SQLAlchemy's wrapping of them.
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()
