"""People of whom data is planted, asked to be erased, and looked for."""

import io
import json
from dataclasses import dataclass

from bailiwick.connectors import facts
from bailiwick.connectors.intake import RecordSource
from bailiwick.connectors.issues import IssueComment, IssueRecord
from bailiwick.identity import Organization
from bailiwick.privacy import Identifier
from bailiwick.privacy.finding import Search
from bailiwick.privacy.redaction import Redaction
from bailiwick.privacy.scanning import Scanner
from tests.integration.privacy.conftest import CLERK, Bureau


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


async def plant(bureau: Bureau, organization: Organization, people: tuple[Person, Person]) -> None:
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


async def comment(bureau: Bureau, organization: Organization, author: Person, commenter: Person) -> None:
    """Let one comment on another's issue, as a webhook tells it."""
    issue = IssueRecord(
        source="github", repository="acme/shop", number=9, title="Window", body=f"{author.words} it does not close",
        author=author.login, comments_count=1, created_at="2026-11-20T10:00:00Z",  # type: ignore[arg-type]
        comments=(IssueComment(author=commenter.login, body=f"{commenter.words} mine neither"),),
    )  # fmt: skip
    await bureau.installation.events.publish(organization.id, [facts.opened(issue)])


async def hits(scanner: Scanner, *values: str) -> dict[tuple[str, str], int]:
    return {(hit.value, hit.place): hit.rows for hit in (await scanner.scan(values)).hits}


async def request(bureau: Bureau, organization: Organization, subject: str) -> str:
    made = await bureau.installation.privacy.requests.make(organization.id, subject, "erasure", actor=CLERK)
    return made.id


async def found(bureau: Bureau, organization: Organization, person: Person) -> dict[str, int]:
    """Count by the person's identifiers, as they stand in the places of one organization."""
    finder = bureau.installation.privacy.finder
    search = Search(organization.id, organization.id, person.redaction)
    counts = {one.table: await finder.count(one, search) for one in finder.data_map.locations}
    return {table: rows for table, rows in counts.items() if rows}
