"""Erasure: what was planted of one person is gone, what was planted of another is all there."""

import asyncio
import base64
import gzip
import hashlib
import io
import json
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.connectors import facts
from bailiwick.connectors.intake import RecordSource
from bailiwick.connectors.issues import IssueComment, IssueRecord
from bailiwick.identity import Organization
from bailiwick.identity.oidc.providers import NewIdentityProvider
from bailiwick.kernel.errors import ConflictError, KeyErasedError, NotFoundError
from bailiwick.kernel.ids import INSTALLATION
from bailiwick.privacy import Evidence, Identifier, LegalHoldError
from bailiwick.privacy.certificates import canonical, verify
from bailiwick.privacy.exporting import section_hash
from bailiwick.privacy.finding import Search
from bailiwick.privacy.redaction import Redaction
from bailiwick.privacy.scanning import Scanner
from bailiwick.tasks import NewTask
from tests.integration.privacy.conftest import CLERK, MASTER_KEY, Bureau
from tests.support.engine import until

# Whole installations at work; a busy machine takes its time.
pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Person:
    email: str
    login: str
    name: str
    words: str

    @property
    def references(self) -> tuple[str, ...]:
        return (f"email:{self.email}", f"login:{self.login}", f"name:{self.name}")

    @property
    def values(self) -> tuple[str, str, str, str]:
        return (self.email, self.login, self.name, self.words)

    @property
    def redaction(self) -> Redaction:
        return Redaction(map(Identifier.parse, self.references))


CARA = Person("cara@canary.test", "caracanary", "Cara Müller-Öz", "zqxcarasays")
DAN = Person("dan@otherbird.test", "danotherbird", "Dan O'Hara", "zqxdansays")
# Known by almost the same as Cara, but somebody else.
NEARLY = Person("x.cara@canary.test", "caracanary-2", "Cara Müller-Özil", "zqxnearly")


def _line(number: int | None, author: str, title: str, body: str) -> str:
    document = {
        "number": number, "title": title, "body": body, "state": "open", "repository": "acme/shop", "author": author,
        "created_at": "2026-11-20T09:00:00Z", "labels": ["bug"],
    }  # fmt: skip
    return json.dumps({name: value for name, value in document.items() if value is not None})


async def _plant(bureau: Bureau, organization: Organization, people: tuple[Person, Person]) -> None:
    """Bring two people in: as authors, as mentions by the other, in failures, in refused records."""
    lines: list[str] = []
    for number, (person, other) in enumerate(((people[0], people[1]), (people[1], people[0])), 1):
        told = f"{person.words} the printer crashes, write to {person.email} or call {person.name}"
        lines += [
            _line(number, person.login, f"Printer {person.words} crashes", told),
            # Refused: a record without its number, and a broken one.
            _line(None, person.login, f"Refused {person.words}", told),
            f'{{"author": "{person.login}", broken {person.words} {person.email}',
        ]
        # The third is somebody else's, who names the first only.
        if person is people[1]:
            lines.append(_line(3, person.login, "Door", f"{person.words}: ask @{other.login}, {other.email}!"))
    report = await bureau.installation.intake(organization.id).take(
        RecordSource("github", repository="acme/shop"), io.BytesIO("\n".join(lines).encode())
    )
    assert (report.accepted, report.rejected_count) == (3, 4)
    for person in people:
        await bureau.do(organization, "desk.fail", f"a letter of {person.name} <{person.email}>")
        await bureau.do(organization, "desk.keep", f"a letter to {person.email}; @{person.login}")


async def _comment(bureau: Bureau, organization: Organization, author: Person, commenter: Person) -> None:
    """Let one comment on another's issue, as a webhook tells it."""
    issue = IssueRecord(
        source="github", repository="acme/shop", number=9, title="Window", body=f"{author.words} it does not close",
        author=author.login, comments_count=1, created_at="2026-11-20T10:00:00Z",  # type: ignore[arg-type]
        comments=(IssueComment(author=commenter.login, body=f"{commenter.words} mine neither"),),
    )  # fmt: skip
    await bureau.installation.events.publish(organization.id, [facts.opened(issue)])


async def _hits(scanner: Scanner, *values: str) -> dict[tuple[str, str], int]:
    return {(hit.value, hit.place): hit.rows for hit in (await scanner.scan(values)).hits}


async def _request(bureau: Bureau, organization: Organization, subject: str) -> str:
    made = await bureau.installation.privacy.requests.make(organization.id, subject, "erasure", actor=CLERK)
    return made.id


async def _found(bureau: Bureau, organization: Organization, person: Person) -> dict[str, int]:
    """Count by the person's identifiers, as they stand in the places of one organization."""
    finder = bureau.installation.privacy.finder
    search = Search(organization.id, organization.id, person.redaction)
    counts = {one.table: await finder.count(one, search) for one in finder.data_map.locations}
    return {table: rows for table, rows in counts.items() if rows}


async def test_the_erased_leave_nothing_and_the_others_lose_nothing(bureau: Bureau, login_url: str) -> None:
    scanner, privacy = Scanner(login_url), bureau.installation.privacy
    async with bureau.installation.run_worker():
        for organization in (bureau.acme, bureau.rival):
            await _plant(bureau, organization, (CARA, DAN) if organization is bureau.acme else (DAN, NEARLY))
        await _comment(bureau, bureau.acme, DAN, CARA)
        await bureau.idle()
        subject = await bureau.register(bureau.acme, *CARA.references)
        mine, others = await _hits(scanner, *CARA.values[1:]), await _hits(scanner, *DAN.values)
        assert {place.split(".")[0].split("_20")[0] for _, place in mine} >= {
            "events", "rejected_records", "finished_tasks", "steps", "issues",
        }  # fmt: skip
        request_id = await _request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    assert await _hits(scanner, CARA.words) == {}
    for value, longer in ((CARA.login, NEARLY.login), (CARA.email, NEARLY.email), (CARA.name, NEARLY.name)):
        # What is left of the shorter is the inside of the longer, which is somebody else's.
        left, right = await _hits(scanner, value), await _hits(scanner, longer)
        assert {place: rows for (_, place), rows in left.items()} == {place: rows for (_, place), rows in right.items()}
    assert right
    assert await _hits(scanner, *DAN.values) == others
    certificate = await privacy.requests.certificate(bureau.acme.id, request_id)
    assert (await privacy.certificates.verify(certificate)).is_valid
    assert bureau.acme.id in bureau.desk.forgot
    assert bureau.rival.id not in bureau.desk.forgot


async def test_a_worker_killed_in_the_middle_of_an_erasure_is_made_up_for(bureau: Bureau, login_url: str) -> None:
    scanner, privacy = Scanner(login_url), bureau.installation.privacy
    async with bureau.installation.run_worker():
        await _plant(bureau, bureau.acme, (CARA, DAN))
        await bureau.idle()
    subject = await bureau.register(bureau.acme, *CARA.references)
    request_id = await _request(bureau, bureau.acme, subject)
    task_id = (await privacy.requests.get(bureau.acme.id, request_id)).task_id
    environment = {
        **os.environ, "BAILIWICK_DATABASE_URL": login_url, "BAILIWICK_MASTER_KEY": MASTER_KEY,
        "BAILIWICK_WORKER_LEASE_SECONDS": "1",
    }  # fmt: skip

    async def is_in_the_middle() -> bool:
        rows = await bureau.installation.database.fetch_all(
            "select name from steps where task_id = %s", (task_id,), organization_id=bureau.acme.id
        )
        return any(row["name"].startswith("erase events ") for row in rows)

    async with await psycopg.AsyncConnection.connect(login_url) as blocker:
        # Events are cleaned before issues: here the erasure waits, half done.
        await blocker.execute("lock table issues in exclusive mode")
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bailiwick.main", "worker", env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await until(is_in_the_middle, "the erasure is half done", seconds=30)
        finally:
            worker.kill()
            await worker.wait()
        await blocker.rollback()
    assert await _hits(scanner, CARA.words)
    assert (await privacy.requests.get(bureau.acme.id, request_id)).state == "pending"
    async with bureau.installation.run_worker():
        await bureau.request_ends(bureau.acme, request_id)
    assert await _hits(scanner, *CARA.values) == {}
    assert await _hits(scanner, DAN.words)
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
            await _plant(bureau, organization, (CARA, DAN))
        await bureau.idle()
        before = await _found(bureau, bureau.rival, CARA)
        subject = await bureau.register(bureau.acme, *CARA.references)
        theirs = await bureau.register(bureau.rival, *CARA.references)
        assert theirs != subject
        await bureau.request_ends(bureau.acme, await _request(bureau, bureau.acme, subject))
    assert await _found(bureau, bureau.acme, CARA) == {}
    assert await _found(bureau, bureau.rival, CARA) == before
    subjects = bureau.installation.privacy.subjects
    assert len(await subjects.identifiers(bureau.rival.id, theirs)) == 3
    assert await subjects.identifiers(bureau.acme.id, subject) == []
    assert await subjects.find(bureau.acme.id, f"email:{CARA.email}") is None
    with pytest.raises(ConflictError, match="erased"):
        await _request(bureau, bureau.acme, subject)


async def test_an_export_shows_what_an_erasure_would_take_and_opens_no_more_after_it(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    async with bureau.installation.run_worker():
        await _plant(bureau, bureau.acme, (CARA, DAN))
        await bureau.idle()
        subject = await bureau.register(bureau.acme, *CARA.references)
        note = Evidence("letter", "2", "in my own words")
        await privacy.consents.grant(bureau.acme.id, subject, "marketing", evidence=note, actor=CLERK)
        request = await privacy.requests.make(bureau.acme.id, subject, "export", actor=CLERK)
        await bureau.request_ends(bureau.acme, request.id)
        archive = json.loads(await privacy.requests.archive(bureau.acme.id, request.id, actor=CLERK))
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
        await bureau.request_ends(bureau.acme, await _request(bureau, bureau.acme, subject))
    with pytest.raises(NotFoundError):
        await privacy.requests.archive(bureau.acme.id, request.id, actor=CLERK)
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
            await _request(bureau, bureau.acme, subject)
        await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
        with pytest.raises(ConflictError, match="released already"):
            await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
    request_id = await _request(bureau, bureau.acme, subject)
    # Placed when the request waits already: the task meets it.
    hold = await privacy.holds.place(bureau.acme.id, subject=subject, reason="another case", actor=CLERK)
    async with bureau.installation.run_worker():
        await bureau.request_ends(bureau.acme, request_id, ("refused",))
        assert hold.id in ((await privacy.requests.get(bureau.acme.id, request_id)).reason or "")
        await privacy.holds.release(bureau.acme.id, hold.id, reason="settled", actor=CLERK)
        await bureau.request_ends(bureau.acme, await _request(bureau, bureau.acme, subject))
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
        request_id = await _request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    statement = (await privacy.requests.certificate(bureau.acme.id, request_id))["statement"]
    kept = {one["place"]: one for one in statement["kept"]}
    assert kept["finished_tasks"]["rows"] == 1
    assert "legal hold" in kept["finished_tasks"]["reason"]


async def test_an_account_goes_with_its_person_unless_others_need_it(bureau: Bureau) -> None:
    accounts, memberships = bureau.installation.accounts, bureau.installation.memberships
    alone = await accounts.create(CARA.email, CARA.name, actor=CLERK)
    shared = await accounts.create(DAN.email, DAN.name, actor=CLERK)
    owner = await accounts.create("boss@canary.test", "The Boss", actor=CLERK)
    await memberships.add(bureau.acme.id, owner.id, "owner", actor=CLERK)
    for user in (alone, shared):
        await memberships.add(bureau.acme.id, user.id, "viewer", actor=CLERK)
    await memberships.add(bureau.rival.id, owner.id, "owner", actor=CLERK)
    await memberships.add(bureau.rival.id, shared.id, "viewer", actor=CLERK)
    async with bureau.installation.run_worker():
        certificates: list[dict[str, object]] = []
        for person in (CARA, DAN):
            subject = await bureau.register(bureau.acme, f"email:{person.email}")
            request_id = await _request(bureau, bureau.acme, subject)
            await bureau.request_ends(bureau.acme, request_id)
            certificate = await bureau.installation.privacy.requests.certificate(bureau.acme.id, request_id)
            certificates.append({one["place"]: one["rows"] for one in certificate["statement"]["kept"]})
    rows = await bureau.installation.database.fetch_all("select email from users order by email")
    assert [row["email"] for row in rows] == ["boss@canary.test", DAN.email]
    rows = await bureau.installation.database.fetch_all(
        "select user_id from memberships", organization_id=bureau.acme.id
    )
    assert [row["user_id"] for row in rows] == [owner.id]
    assert "users" not in certificates[0]
    assert certificates[1]["users"] == 1


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
                found = await bureau.installation.tasks.get(bureau.acme.id, task_id)
                assert found.state != "completed"
                return found.state == "discarded"

            await until(is_discarded, "the task is given up")
    assert (await privacy.subjects.get(bureau.acme.id, subject)).erased_at is None


@pytest.mark.parametrize("is_last", [True, False])
async def test_an_owner_keeps_the_account_whole(bureau: Bureau, is_last: bool) -> None:
    """Admins may erase and may not remove owners: erasing must not remove one for them."""
    owner = await bureau.installation.accounts.create(CARA.email, CARA.name, actor=CLERK)
    await bureau.installation.memberships.add(bureau.acme.id, owner.id, "owner", actor=CLERK)
    if not is_last:
        other = await bureau.installation.accounts.create("boss@canary.test", "The Boss", actor=CLERK)
        await bureau.installation.memberships.add(bureau.acme.id, other.id, "owner", actor=CLERK)
    await bureau.installation.sessions.begin(owner.id, methods=["pwd"], address=None, user_agent=None)
    new = NewIdentityProvider("company", "Company", "https://idp.canary.test", "bailiwick")
    provider = await bureau.installation.ways_in.providers.add(INSTALLATION, new, actor=CLERK)
    await bureau.installation.database.execute(
        "insert into mapped_memberships (provider_id, user_id, organization_id, role) values (%s, %s, %s, 'owner')",
        (provider.id, owner.id, bureau.acme.id),
        organization_id=bureau.acme.id,
    )
    async with bureau.installation.run_worker():
        subject = await bureau.register(bureau.acme, f"email:{CARA.email}")
        request_id = await _request(bureau, bureau.acme, subject)
        await bureau.request_ends(bureau.acme, request_id)
    certificate = await bureau.installation.privacy.requests.certificate(bureau.acme.id, request_id)
    kept = {one["place"]: one["rows"] for one in certificate["statement"]["kept"]}
    assert (kept["memberships"], kept["users"]) == (1, 1)
    mapped = await bureau.installation.database.fetch_all(
        "select role from mapped_memberships where user_id = %s", (owner.id,), organization_id=bureau.acme.id
    )
    assert [row["role"] for row in mapped] == ["owner"]
    sessions = await bureau.installation.database.fetch_all("select from sessions where user_id = %s", (owner.id,))
    assert len(sessions) == 1


async def test_a_certificate_that_was_changed_or_is_not_ours_is_told(bureau: Bureau) -> None:
    privacy = bureau.installation.privacy
    async with bureau.installation.run_worker():
        subject = await bureau.register(bureau.acme, *CARA.references)
        request_id = await _request(bureau, bureau.acme, subject)
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
    hits = await _hits(Scanner(login_url, tmp_path), value)
    assert {place: rows for (_, place), rows in hits.items()} == {
        "dressed.plain": 4, "dressed.listed": 1, "dressed.document": 1, "dressed.bytes": 4,
        str(tmp_path / "a.log"): 1, str(tmp_path / "b.log.gz"): 1,
    }  # fmt: skip
