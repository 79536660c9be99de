"""Erasure: what was planted of one person is gone, what was planted of another is all there."""

import asyncio
import json
import os
import sys

import psycopg
import pytest

from bailiwick.kernel.errors import ConflictError, KeyErasedError, NotFoundError
from bailiwick.privacy import Evidence, LegalHoldError
from bailiwick.privacy.exporting import section_hash
from bailiwick.privacy.scanning import Scanner
from bailiwick.tasks import NewTask
from tests.integration.privacy.conftest import CLERK, MASTER_KEY, Bureau
from tests.integration.privacy.people import CARA, DAN, NEARLY, comment, found, hits, plant, request
from tests.support.engine import until

# Whole installations at work; a busy machine takes its time.
pytestmark = pytest.mark.timeout(180)


async def test_the_erased_leave_nothing_and_the_others_lose_nothing(bureau: Bureau, login_url: str) -> None:
    scanner, privacy = Scanner(login_url), bureau.installation.privacy
    async with bureau.installation.run_worker():
        for organization in (bureau.acme, bureau.rival):
            await plant(bureau, organization, (CARA, DAN) if organization is bureau.acme else (DAN, NEARLY))
        await comment(bureau, bureau.acme, DAN, CARA)
        await bureau.idle()
        subject = await bureau.register(bureau.acme, *CARA.references)
        mine, others = await hits(scanner, *CARA.values[1:]), await hits(scanner, *DAN.values)
        assert {place.split(".")[0].split("_20")[0] for _, place in mine} >= {
            "events", "rejected_records", "finished_tasks", "steps", "issues",
        }  # fmt: skip
        request_id = await request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    assert await hits(scanner, CARA.words) == {}
    for value, longer in ((CARA.login, NEARLY.login), (CARA.email, NEARLY.email), (CARA.name, NEARLY.name)):
        # What is left of the shorter is the inside of the longer, which is somebody else's.
        left, right = await hits(scanner, value), await hits(scanner, longer)
        assert {place: rows for (_, place), rows in left.items()} == {place: rows for (_, place), rows in right.items()}
    assert right
    assert await hits(scanner, *DAN.values) == others
    certificate = await privacy.requests.certificate(bureau.acme.id, request_id)
    assert (await privacy.certificates.verify(certificate)).is_valid
    assert bureau.acme.id in bureau.desk.forgot
    assert bureau.rival.id not in bureau.desk.forgot


async def test_a_worker_killed_in_the_middle_of_an_erasure_is_made_up_for(bureau: Bureau, login_url: str) -> None:
    scanner, privacy = Scanner(login_url), bureau.installation.privacy
    async with bureau.installation.run_worker():
        await plant(bureau, bureau.acme, (CARA, DAN))
        await bureau.idle()
    subject = await bureau.register(bureau.acme, *CARA.references)
    request_id = await request(bureau, bureau.acme, subject)
    task_id = (await privacy.requests.get(bureau.acme.id, request_id)).task_id
    environment = {
        **os.environ, "BAILIWICK_DATABASE_URL": login_url, "BAILIWICK_MASTER_KEY": MASTER_KEY,
        "BAILIWICK_WORKER_LEASE_SECONDS": "1",
    }  # fmt: skip

    async with await psycopg.AsyncConnection.connect(login_url) as blocker:

        async def is_in_the_middle() -> bool:
            # By who holds the lock: the server ends transactions in which nothing happens, and a worker starts slowly.
            cursor = await blocker.execute(
                "select from steps where task_id = %s and name like 'erase events %%'", (task_id,)
            )
            return cursor.rowcount > 0

        # Events are cleaned before issues: here the erasure waits, half done.
        await blocker.execute("lock table issues in exclusive mode")
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bailiwick.main", "worker", env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await until(is_in_the_middle, "the erasure is half done", seconds=100, every_seconds=0.05)
        finally:
            worker.kill()
            await worker.wait()
        await blocker.rollback()
    assert await hits(scanner, CARA.words)
    assert (await privacy.requests.get(bureau.acme.id, request_id)).state == "pending"
    async with bureau.installation.run_worker():
        await bureau.request_ends(bureau.acme, request_id)
    assert await hits(scanner, *CARA.values) == {}
    assert await hits(scanner, DAN.words)
    certificate = (await privacy.requests.certificate(bureau.acme.id, request_id))["statement"]
    counted = {place["place"]: place["rows_before"] for place in certificate["places"]}
    # What was counted before the first row went, not what the second worker found.
    assert counted["events"] >= 2
    assert counted["issues"] == 2
    task = await bureau.installation.tasks.get(bureau.acme.id, task_id or "")
    assert not any(value in json.dumps(task.result) for value in CARA.values)


async def test_the_same_person_stays_in_the_other_organization(bureau: Bureau) -> None:
    async with bureau.installation.run_worker():
        for organization in (bureau.acme, bureau.rival):
            await plant(bureau, organization, (CARA, DAN))
        await bureau.idle()
        before = await found(bureau, bureau.rival, CARA)
        subject = await bureau.register(bureau.acme, *CARA.references)
        theirs = await bureau.register(bureau.rival, *CARA.references)
        assert theirs != subject
        await bureau.request_ends(bureau.acme, await request(bureau, bureau.acme, subject))
    assert await found(bureau, bureau.acme, CARA) == {}
    assert await found(bureau, bureau.rival, CARA) == before
    subjects = bureau.installation.privacy.subjects
    assert len(await subjects.identifiers(bureau.rival.id, theirs)) == 3
    assert await subjects.identifiers(bureau.acme.id, subject) == []
    assert await subjects.find(bureau.acme.id, f"email:{CARA.email}") is None
    with pytest.raises(ConflictError, match="erased"):
        await request(bureau, bureau.acme, subject)


async def test_an_export_shows_what_an_erasure_would_take_and_opens_no_more_after_it(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    async with bureau.installation.run_worker():
        await plant(bureau, bureau.acme, (CARA, DAN))
        await bureau.idle()
        subject = await bureau.register(bureau.acme, *CARA.references)
        note = Evidence("letter", "2", "in my own words")
        await privacy.consents.grant(bureau.acme.id, subject, "marketing", evidence=note, actor=CLERK)
        copy = await privacy.requests.make(bureau.acme.id, subject, "export", actor=CLERK)
        await bureau.request_ends(bureau.acme, copy.id)
        archive = json.loads(await privacy.requests.archive(bureau.acme.id, copy.id, actor=CLERK))
        assert archive["sections"].keys() >= {"identifiers", "consents", "events", "issues", "rejected_records"}
        told = json.dumps(archive, ensure_ascii=False)
        assert all(value in told for value in CARA.values)
        # Dan's words are there where he names her, and only that text.
        assert DAN.email not in told
        for name, section in archive["manifest"]["sections"].items():
            assert section == {
                "rows": len(archive["sections"][name]),
                "sha256": section_hash(archive["sections"][name]),
            }
        await bureau.request_ends(bureau.acme, await request(bureau, bureau.acme, subject))
    with pytest.raises(NotFoundError):
        await privacy.requests.archive(bureau.acme.id, copy.id, actor=CLERK)
    row = await bureau.installation.database.fetch_one(
        "select sealed_note from consent_changes", organization_id=bureau.acme.id
    )
    assert row is not None
    with pytest.raises(KeyErasedError):
        await bureau.installation.vault.open(bureau.acme.id, row["sealed_note"], purpose="privacy.consent_note")


async def test_a_legal_hold_beats_erasure_until_it_is_released(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    subject = await bureau.register(bureau.acme, *CARA.references)
    for target in (subject, None):
        hold = await privacy.holds.place(bureau.acme.id, reason="case 12 B 4", actor=CLERK, subject=target)
        with pytest.raises(LegalHoldError):
            await request(bureau, bureau.acme, subject)
        await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
        with pytest.raises(ConflictError, match="released already"):
            await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
    request_id = await request(bureau, bureau.acme, subject)
    # Placed when the request waits already: the task meets it.
    hold = await privacy.holds.place(bureau.acme.id, subject=subject, reason="another case", actor=CLERK)
    async with bureau.installation.run_worker():
        await bureau.request_ends(bureau.acme, request_id, ("refused",))
        assert hold.id in ((await privacy.requests.get(bureau.acme.id, request_id)).reason or "")
        await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
        await bureau.request_ends(bureau.acme, await request(bureau, bureau.acme, subject))
    rows = await bureau.installation.database.fetch_all(
        "select action, act::jsonb ->> 'reason' as reason from audit_entries where action like 'legal_hold.%%' "
        "order by seq",
        organization_id=bureau.acme.id,
    )
    assert [row["action"] for row in rows].count("legal_hold.released") == 3
    assert rows[1]["reason"] == "settled"


async def test_a_held_class_is_kept_and_the_certificate_says_so(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    async with bureau.installation.run_worker():
        await bureau.do(bureau.acme, "desk.keep", f"a letter to {CARA.email}")
        await bureau.idle()
        subject = await bureau.register(bureau.acme, *CARA.references)
        await privacy.holds.place(bureau.acme.id, data_class="operations", reason="audit", actor=CLERK)
        request_id = await request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    statement = (await privacy.requests.certificate(bureau.acme.id, request_id))["statement"]
    kept = {one["place"]: one for one in statement["kept"]}
    assert kept["finished_tasks"]["rows"] == 1
    assert "legal hold" in kept["finished_tasks"]["reason"]


async def test_a_task_for_another_request_erases_nothing(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    subject = await bureau.register(bureau.acme, *CARA.references)
    refused = await privacy.requests.make(bureau.acme.id, subject, "erasure", actor=CLERK)
    hold = await privacy.holds.place(bureau.acme.id, reason="a lawsuit", actor=CLERK, subject=subject)
    async with bureau.installation.run_worker():
        await bureau.request_ends(bureau.acme, refused.id, ("refused",))
        await privacy.holds.release(bureau.acme.id, hold.id, reason="it is over", actor=CLERK)
        copied = await privacy.requests.make(bureau.acme.id, subject, "export", actor=CLERK)
        await bureau.request_ends(bureau.acme, copied.id)
        for request in (refused, copied):
            task = NewTask("privacy.erase", {"request_id": request.id})
            made = await bureau.installation.queue.enqueue(bureau.acme.id, task)

            async def is_discarded(task_id: str = made.task_id) -> bool:
                kept = await bureau.installation.tasks.get(bureau.acme.id, task_id)
                assert kept.state != "completed"
                return kept.state == "discarded"

            await until(is_discarded, "the task is given up")
    assert (await privacy.subjects.get(bureau.acme.id, subject)).erased_at is None
