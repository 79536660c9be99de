"""Authority: what agents may do, who decides otherwise, and how they earn more."""

from bailiwick.authority.authority import Authority
from bailiwick.authority.deciding import decide
from bailiwick.authority.model import ApprovalTerms, Budget, Decision, EffectClass, Opinion, Outcome, Proposal
from bailiwick.authority.policies import Policies, PolicyRecord

__all__ = [
    "ApprovalTerms",
    "Authority",
    "Budget",
    "Decision",
    "EffectClass",
    "Opinion",
    "Outcome",
    "Policies",
    "PolicyRecord",
    "Proposal",
    "decide",
]
