"""An installation with the command line and the API, as their own tests have them."""

from tests.integration.api.conftest import acme, owner, premises
from tests.integration.cli.conftest import bailiwick

__all__ = ["acme", "bailiwick", "owner", "premises"]
