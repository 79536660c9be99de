"""Chains and exports made in memory, for tests that look at verification alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bailiwick.audit.canonical import ZERO, canonical, digest, entry_content, moment, root_content
from bailiwick.audit.ed25519 import PublicKey, SigningKey, new_key
from bailiwick.audit.lines import end_line, entry_line, header_line, root_line
from bailiwick.kernel.ids import new_id

BEGAN = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def line_of_keys(count: int) -> tuple[SigningKey, list[PublicKey]]:
    """Keys of which each endorsed the next; the last one signs."""
    key, public = new_key(None, BEGAN)
    keys = [public]
    for _ in range(count - 1):
        key, public = new_key(key, BEGAN)
        keys.append(public)
    return key, keys


def act_of(number: int) -> dict[str, Any]:
    """The act of an invented entry."""
    return {
        "id": new_id(), "action": "limit.changed", "target": f"limit:kind:{number}", "reason": None,
        "actor": {"kind": "user", "id": "anna", "name": "Anna", "address": "127.0.0.1"},
        "before": {"burst": number}, "after": {"burst": number + 1, "rate": 0.5},
    }  # fmt: skip


def export_of(
    entries: int,
    *,
    organization_id: str | None = None,
    every: int = 3,
    key: SigningKey | None = None,
    keys: list[PublicKey] | None = None,
) -> list[bytes]:
    """The lines of an export with a root after ``every`` so many entries and after the last."""
    if key is None or keys is None:
        key, keys = line_of_keys(1)
    organization_id = organization_id or new_id()
    lines = [header_line(organization_id=organization_id, slug="acme", exported_at=moment(BEGAN), keys=keys)]
    previous, root_previous, roots = ZERO, ZERO, 0
    for seq in range(1, entries + 1):
        at = BEGAN + timedelta(seconds=seq)
        content = entry_content(organization_id, seq, canonical(act_of(seq)), previous, at)
        previous = digest(content)
        lines.append(entry_line(content, previous))
        if seq % every == 0 or seq == entries:
            roots += 1
            signed = root_content(
                organization_id, number=roots, seq=seq, entry_hash=previous, previous=root_previous, kid=key.kid, at=at
            )
            root_previous = digest(signed)
            lines.append(root_line(signed, root_previous, key.sign(signed)))
    overall = digest(b"".join(lines))
    lines.append(end_line(organization_id=organization_id, digest=overall, entries=entries, roots=roots, key=key))
    return lines
