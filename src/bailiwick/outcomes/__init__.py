"""Outcomes: whether what was done worked, looked at later."""

from bailiwick.outcomes.checks import Check, CheckRegistry, Expected, Finding, Reading
from bailiwick.outcomes.model import OutcomeRecord
from bailiwick.outcomes.service import Outcomes
from bailiwick.outcomes.stating import Expecting

__all__ = ["Check", "CheckRegistry", "Expected", "Expecting", "Finding", "OutcomeRecord", "Outcomes", "Reading"]
