"""The API: thin doors over the services of an installation, for programs and people alike."""

from bailiwick.api.app import create_app

__all__ = ["create_app"]
