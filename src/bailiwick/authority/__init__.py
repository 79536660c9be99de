"""Authority: what agents may do, who decides otherwise, and how they earn more."""

from bailiwick.authority.model import ApprovalTerms, Decision, EffectClass, Outcome, Proposal

__all__ = ["ApprovalTerms", "Decision", "EffectClass", "Outcome", "Proposal"]
