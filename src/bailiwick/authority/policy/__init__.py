"""Policy: rules as data, read and compiled; they know nothing of who decides by them, nor of where they are kept."""

from bailiwick.authority.policy.index import NO_POLICY, RuleIndex
from bailiwick.authority.policy.model import Policy, Rule
from bailiwick.authority.policy.reading import read_policy

__all__ = ["NO_POLICY", "Policy", "Rule", "RuleIndex", "read_policy"]
