"""Installation: all services of the platform, wired once per process for the doors to use."""

from bailiwick.installation.installation import HOME, Installation
from bailiwick.installation.settings import Settings

__all__ = ["HOME", "Installation", "Settings"]
