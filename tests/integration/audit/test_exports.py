"""Exports of the real database: verified offline, and the database where it lies."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from bailiwick.audit import SYSTEM, Act, AuditLog
from bailiwick.audit.exporting import export_lines
from bailiwick.audit.keys import AuditKeys
from bailiwick.audit.live import verify_chain
from bailiwick.audit.roots import AuditRoots
from bailiwick.audit.verifying import Verdict, verify_lines
from bailiwick.kernel.ids import INSTALLATION, new_id
from bailiwick.storage import Database
from bailiwick.vault import Vault
from bailiwick.vault.key_file import KeyFile

ACME = new_id()


def roots_of(database: Database, folder: Path) -> AuditRoots:
    """The roots of one process."""
    vault = Vault(database, KeyFile(folder / "master.key", may_create=True))
    return AuditRoots(database, AuditKeys(database, vault))


@pytest.fixture
def roots(database: Database, tmp_path: Path) -> AuditRoots:
    return roots_of(database, tmp_path)


@pytest.fixture
async def log(database: Database) -> AuditLog:
    log = AuditLog(database)
    for number in range(5):
        await log.record(Act(ACME, "limit.changed", SYSTEM, f"limit:{number}", after={"n": number, "x": 0.1}))
    return log


async def exported(log: AuditLog, roots: AuditRoots) -> list[bytes]:
    return [line async for line in export_lines(log, roots, ACME, "acme")]


async def live(log: AuditLog, roots: AuditRoots, organization_id: str = ACME) -> Verdict:
    (head,) = await roots.heads(organization_id=organization_id)
    return await verify_chain(log, roots, head, organization="acme")


async def test_an_export_verifies_with_the_installations_key(log: AuditLog, roots: AuditRoots) -> None:
    lines = await exported(log, roots)
    keys = await roots.keys.list()
    verdict = verify_lines(lines, key=keys[0].public_key)
    assert verdict.error is None
    assert (verdict.entries, verdict.roots, verdict.covered_seq) == (5, 1, 5)


async def test_a_root_is_signed_only_where_a_chain_went_on(log: AuditLog, roots: AuditRoots) -> None:
    # The first signing makes the key, which the installation's own chain tells of afterwards.
    assert [root.organization_id for root in await roots.sign()] == [ACME]
    assert [root.organization_id for root in await roots.sign()] == [INSTALLATION]
    assert await roots.sign() == []
    await log.record(Act(ACME, "limit.paused", SYSTEM, "limit:1"))
    (root,) = await roots.sign()
    assert (root.organization_id, root.number, root.seq) == (ACME, 2, 6)
    assert (await live(log, roots)).is_intact


async def test_two_processes_that_sign_at_once_leave_one_root_and_one_key(
    log: AuditLog, roots: AuditRoots, database: Database, tmp_path: Path
) -> None:
    other = roots_of(database, tmp_path)
    await asyncio.gather(roots.sign(ACME), other.sign(ACME), roots.sign(ACME))
    assert len(await roots.keys.list()) == 1
    assert [row["number"] async for row in roots.rows(ACME)] == [1]


async def test_after_a_rotation_old_and_new_roots_verify_under_either_key(log: AuditLog, roots: AuditRoots) -> None:
    await roots.sign()
    await roots.keys.rotate(actor=SYSTEM)
    await log.record(Act(ACME, "limit.paused", SYSTEM, "limit:1"))
    lines = await exported(log, roots)
    keys = await roots.keys.list()
    assert len(keys) == 2
    for key in keys:
        verdict = verify_lines(lines, key=key.public_key)
        assert verdict.error is None
        assert verdict.roots == 2
    assert (await live(log, roots)).is_intact
    actions = [entry.action for entry in (await log.list(INSTALLATION)).items]
    assert actions == ["audit_key.rotated", "audit_key.created"]


async def test_the_private_key_of_before_is_gone_after_a_rotation(roots: AuditRoots, database: Database) -> None:
    before = await roots.keys.current()
    after = await roots.keys.rotate(actor=SYSTEM)
    secrets = await database.fetch_all("select kid, sealed from audit_key_secrets")
    assert [row["kid"] for row in secrets] == [after.kid]
    assert before.private_key not in bytes(secrets[0]["sealed"])


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("update audit_entries set act = replace(act, 'limit:2', 'limit:9') where seq = 3", "entry 3: its hash"),
        ("update audit_entries set recorded_at = recorded_at + interval '1 s' where seq = 2", "entry 2: its hash"),
        ("update audit_entries set id = gen_random_uuid() where seq = 2", "entry 2: its id"),
        ("delete from audit_entries where seq = 2", "entry 2: "),
        ("delete from audit_entries where seq = 5", "entry 5: the chain ends here"),
        ("delete from audit_roots", "root 1: it is missing"),
        ("update audit_roots set signature = decode(repeat('00', 64), 'hex')", "root 1 (entry 5): its signature"),
        ("update audit_chains set seq = 4", "entry 4: the chain's head"),
        (
            "update audit_entries set hash = sha256('') where seq = 5; update audit_chains set hash = sha256('')",
            "entry 5: its hash",
        ),
    ],
)
async def test_what_a_superuser_does_behind_our_back_is_found(
    log: AuditLog, roots: AuditRoots, login_url: str, tampering: str, found: str
) -> None:
    await roots.sign()
    assert (await live(log, roots)).is_intact
    with psycopg.connect(login_url, autocommit=True) as intruder:
        for table in ("audit_entries", "audit_roots"):
            intruder.execute(f"alter table {table} disable trigger append_only")  # type: ignore[arg-type]
        for statement in tampering.split(";"):
            joined = " and" if " where" in statement else " where"
            intruder.execute(f"{statement}{joined} organization_id = '{ACME}'")  # type: ignore[arg-type]
    verdict = await live(log, roots)
    assert verdict.error is not None
    assert verdict.error.startswith(found)
