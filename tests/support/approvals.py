"""Approvals of an installation that waits for people, made without a run."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bailiwick.authority import ApprovalTerms, Decision, Proposal
from bailiwick.authority.approvals import ApprovalRecord
from bailiwick.effects.digest import digest_of
from bailiwick.effects.tool import Tool
from bailiwick.installation import Installation
from bailiwick.kernel.ids import new_id
from tests.support.acting import FolderTool


def furnish_tool(installation: Installation, folder: Path) -> Tool[Any]:
    """Register the tool that approvals here are about."""
    tool = FolderTool(folder)
    installation.registry.tools.register(tool)
    return tool


async def ask(installation: Installation, organization_id: str, **more: Any) -> ApprovalRecord:
    """Ask people about a line in a file; fields of the terms and of the proposal by name."""
    fields = {name: more.pop(name) for name in list(more) if name in ApprovalTerms.__dataclass_fields__}
    proposal = Proposal(
        organization_id, new_id(), FolderTool.name, "write", {"name": "greetings", "text": "hello"}, "file:greetings",
        datetime.now(UTC), observed=[], price=Decimal("0.50"), is_reversible=True, reason="an answer is due",
    )  # fmt: skip
    proposal = replace(proposal, **more)
    terms = replace(ApprovalTerms(), **fields)
    decision = Decision(new_id(), "approve", "greetings", "people look at greetings", 1, 2, terms)
    digest = digest_of(
        proposal.tool, FolderTool.version, proposal.arguments, target=proposal.target, observed=proposal.observed,
        policy_version=decision.policy_mark, price=proposal.price,
    )  # fmt: skip
    async with installation.database.transaction(organization_id) as connection:
        approval_id = await installation.approvals.request(
            proposal, decision, effect_id=new_id(), digest=digest, undo="a line takes it back within a day",
            connection=connection,
        )  # fmt: skip
    return await installation.approvals.get(organization_id, approval_id)
