"""Verifies the chains where they lie, in the database."""

from collections.abc import Callable

import orjson

from bailiwick.audit.canonical import entry_content
from bailiwick.audit.checking import BrokenChainError, ChainCheck, check_keys
from bailiwick.audit.log import AuditLog
from bailiwick.audit.roots import AuditRoots
from bailiwick.audit.verifying import Verdict
from bailiwick.storage import Row

Progress = Callable[[int], None]


async def verify_chain(
    log: AuditLog, roots: AuditRoots, head: Row, *, organization: str, key: bytes | None = None,
    progress: Progress | None = None,
) -> Verdict:  # fmt: skip
    """Verify one chain and its roots against its ``head`` (see ``AuditRoots.heads``).

    What is appended meanwhile is left for the next time. ``progress`` is told
    how many entries were checked.
    """
    organization_id = head["organization_id"]
    keys = await roots.keys.list()
    check = ChainCheck(organization_id, keys)
    error: str | None = None
    try:
        check_keys(keys, key)
        await _walk(log, roots, check, head, progress)
    except BrokenChainError as broken:
        error = str(broken)
    return Verdict(
        organization_id=organization_id,
        organization=organization,
        entries=check.seq,
        roots=check.roots,
        covered_seq=check.covered_seq,
        covered_at=check.covered_at,
        uncovered_since=check.uncovered_since,
        kids=[one.kid for one in keys],
        is_pinned=key is not None,
        error=error,
    )


async def _walk(log: AuditLog, roots: AuditRoots, check: ChainCheck, head: Row, progress: Progress | None) -> None:
    signed = aiter(roots.rows(check.organization_id))
    root = await anext(signed, None)
    async for row in log.rows(check.organization_id, until=head["seq"]):
        content = entry_content(
            check.organization_id, row["seq"], row["act"].encode(), row["previous"], row["recorded_at"]
        )
        _check_reading(row, check.seq + 1)
        check.entry(content, row["hash"])
        while root is not None and root["seq"] <= check.seq:
            check.root(root["content"].encode(), root["hash"], root["signature"])
            root = await anext(signed, None)
        if progress is not None and check.seq % 1000 == 0:
            progress(check.seq)
    if check.seq == head["seq"] and check.hash != head["hash"]:
        raise BrokenChainError(f"entry {check.seq}: the chain's head says another hash")
    if check.seq != head["seq"]:
        raise BrokenChainError(
            f"entry {check.seq + 1}: the chain ends here, but its head says {head['seq']} entries; its end was removed"
        )
    if check.roots < head["root_number"]:
        raise BrokenChainError(
            f"root {check.roots + 1}: it is missing; the chain's head says {head['root_number']} roots"
        )


def _check_reading(row: Row, seq: int) -> None:
    # Listings show what was hashed, so that a second truth beside it cannot be planted.
    if orjson.loads(row["act"])["id"] != row["id"]:
        raise BrokenChainError(f"entry {seq}: its id is not the one that was hashed")
