"""Earned autonomy: how far an agent may go by itself, by what it has shown."""

from bailiwick.authority.autonomy.model import LEVEL_NAMES, START, Counts, Promotion, Source
from bailiwick.authority.autonomy.posterior import Posterior
from bailiwick.authority.autonomy.rules import AutonomyRules, Bar
from bailiwick.authority.autonomy.service import Autonomy
from bailiwick.authority.autonomy.versions import AgentVersions

__all__ = [
    "LEVEL_NAMES", "START", "AgentVersions", "Autonomy", "AutonomyRules", "Bar", "Counts", "Posterior", "Promotion",
    "Source",
]  # fmt: skip
