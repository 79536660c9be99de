"""Earned autonomy: how far an agent may go by itself, by what it has shown."""

from bailiwick.authority.autonomy.model import START, Counts, LevelRecord, Promotion, Source
from bailiwick.authority.autonomy.service import Autonomy
from bailiwick.authority.autonomy.versions import AgentVersions

__all__ = ["START", "AgentVersions", "Autonomy", "Counts", "LevelRecord", "Promotion", "Source"]
