"""Exports: a whole chain as lines that anybody can verify without us."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from bailiwick.audit.canonical import entry_content, moment
from bailiwick.audit.lines import end_line, entry_line, header_line, root_line
from bailiwick.audit.log import AuditLog
from bailiwick.audit.roots import AuditRoots


async def export_lines(log: AuditLog, roots: AuditRoots, organization_id: str, slug: str) -> AsyncIterator[bytes]:
    """Yield an export of an organization's chain, in lines with their line ends; memory stays small.

    The end of the chain is signed first, so that a root covers every entry.

    Raises:
        MasterKeyError: the signing key cannot be opened.
    """
    await roots.sign(organization_id)
    key = await roots.keys.current()
    heads = await roots.heads(organization_id=organization_id)
    until = heads[0]["root_seq"] if heads else 0
    # Read last, so that the key of every root up to there is among them.
    keys = await roots.keys.list()
    overall = hashlib.sha256()

    def counted(line: bytes) -> bytes:
        overall.update(line)
        return line

    now = moment(datetime.now(UTC))
    yield counted(header_line(organization_id=organization_id, slug=slug, exported_at=now, keys=keys))
    signed = aiter(roots.rows(organization_id))
    root = await anext(signed, None)
    written = 0
    async for row in log.rows(organization_id, until=until):
        content = entry_content(organization_id, row["seq"], row["act"].encode(), row["previous"], row["recorded_at"])
        yield counted(entry_line(content, row["hash"]))
        if root is not None and root["seq"] == row["seq"]:
            yield counted(root_line(root["content"].encode(), root["hash"], root["signature"]))
            written += 1
            root = await anext(signed, None)
    yield end_line(organization_id=organization_id, digest=overall.hexdigest(), entries=until, roots=written, key=key)
