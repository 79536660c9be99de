"""Certificates of erasure, and the scanner that looks for what was left."""

import base64
import gzip
import hashlib
import json
import zlib
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.privacy.certificates import canonical, verify
from bailiwick.privacy.scanning import Scanner
from tests.integration.privacy.conftest import Bureau
from tests.integration.privacy.people import CARA, hits, request

# Whole installations at work; a busy machine takes its time.
pytestmark = pytest.mark.timeout(180)


async def test_a_certificate_that_was_changed_or_is_not_ours_is_told(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    async with bureau.installation.run_worker():
        subject = await bureau.register(bureau.acme, *CARA.references)
        request_id = await request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    certificate = await privacy.requests.certificate(bureau.acme.id, request_id)
    assert verify(json.loads(json.dumps(certificate))).is_valid
    changed = json.loads(json.dumps(certificate))
    changed["statement"]["subject_id"] = bureau.acme.id
    assert "hash differs" in verify(changed).reason
    changed["sha256"] = hashlib.sha256(canonical(changed["statement"])).hexdigest()
    assert "signature" in verify(changed).reason
    # Whoever signs it with a key of their own cannot pass it off as ours.
    key = Ed25519PrivateKey.generate()
    changed["signature"] = key.sign(canonical(changed["statement"])).hex()
    changed["public_key"] = key.public_key().public_bytes_raw().hex()
    assert verify(changed).is_valid
    assert (await privacy.certificates.verify(changed)).is_valid is False
    assert certificate["statement"]["vectors"] == "no vector store in this installation"
    assert set(certificate["statement"]["residue"]["vacuumed"].values()) <= {"done"}
    # The destroyed key, too: what was sealed under it stands in backups.
    assert "data_keys" in certificate["statement"]["residue"]["vacuumed"]


async def test_the_scanner_sees_through_every_dress(login_url: str, tmp_path: Path) -> None:
    value = "Zoë canary\\7"
    data = value.encode()
    packed = [
        gzip.compress(data),
        zlib.compress(data),
        b"--" + base64.b64encode(b"x" + data + b"yz"),
        value.upper().encode(),
    ]
    async with await psycopg.AsyncConnection.connect(login_url, autocommit=True) as admin:
        await admin.execute("create table dressed (plain text, listed text[], document jsonb, bytes bytea)")
        for one in packed:
            await admin.execute("insert into dressed (bytes) values (%s)", (one,))
        await admin.execute("insert into dressed (plain) values (%s)", (f"x{value.upper()}x",))
        await admin.execute("insert into dressed (plain) values (%s)", (json.dumps(value),))
        await admin.execute("insert into dressed (plain) values (%s)", (data.hex(),))
        await admin.execute("insert into dressed (plain) values (%s)", (base64.b64encode(b"ab" + data).decode(),))
        await admin.execute("insert into dressed (listed) values (%s)", ([value],))
        await admin.execute("insert into dressed (document) values (%s::jsonb)", (json.dumps({"a": [value]}),))
    (tmp_path / "a.log").write_text(f"he said {value}")
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(data))
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "1").write_bytes(data)
    seen = await hits(Scanner(login_url, tmp_path), value)
    assert {place: rows for (_, place), rows in seen.items()} == {
        "dressed.plain": 4, "dressed.listed": 1, "dressed.document": 1, "dressed.bytes": 4,
        str(tmp_path / "a.log"): 1, str(tmp_path / "b.log.gz"): 1,
    }  # fmt: skip
