"""Approvals: people say yes or no to exactly one effect, as it was shown to them."""

from bailiwick.authority.approvals.approvals import Approvals
from bailiwick.authority.approvals.model import Answered, Answerer, ApprovalRecord, ApprovalState, Saying

__all__ = ["Answered", "Answerer", "ApprovalRecord", "ApprovalState", "Approvals", "Saying"]
