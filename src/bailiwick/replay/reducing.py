"""Takes out of an archive what others need not see: secrets always, people unless they are asked for.

What stands in a person's place is the same wherever the person appears in one
archive, and keeps its form: an e-mail address stays one. So the story can be
read, and the present code takes it as it took the original.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.ids import parse_id
from bailiwick.privacy.forms import CARD, IBAN, is_card_number, leading_iban
from bailiwick.privacy.identifiers import Identifier
from bailiwick.privacy.redaction import Redaction
from bailiwick.telemetry.redacting import redact

HIDDEN_HOST = "hidden.invalid"

# Fields that hold who somebody is; in lists of them too.
_PEOPLE = frozenset({
    "assignee", "assignees", "author", "authors", "display_name", "email", "emails", "first_name", "full_name",
    "last_name", "login", "logins", "mentions", "recipient", "recipients", "reporter", "user", "user_name", "username",
})  # fmt: skip
# What proves that nothing was changed, and what would read as a number of somebody's.
_PROOFS = frozenset({"digest", "hash", "kid", "previous", "public_key", "sha256", "signature"})
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.]+(Z|[+-]\d{2}:?\d{2})?)?")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_MENTION = re.compile(r"(?<![\w@./])@([A-Za-z0-9][A-Za-z0-9-]{0,38})(?![\w/@-]|\.\w)")
_PHONE = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ ()./-]{0,2}\d{1,4}){2,6}(?![\w-])")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w.:])")
_SHORTEST_PHONE_DIGITS = 8


class Reducer:
    """Reduces the documents of one archive.

    ``learn`` from all of them first, so that who is named in a field of one is
    known in the texts of the others; then ``document`` each. ``hidden`` counts
    what was replaced, by kind.
    """

    def __init__(self, *, keeps_people: bool = False) -> None:
        self.hidden: Counter[str] = Counter()
        self._keeps_people = keeps_people
        self._numbers: dict[str, int] = {}
        self._people: dict[Identifier, Redaction] = {}
        self._others: dict[str, dict[str, str]] = {}

    def know(self, *identifiers: Identifier) -> None:
        """Take in what one person is known by; all of it gets one number."""
        known = [self._numbers[one.lookup_text] for one in identifiers if one.lookup_text in self._numbers]
        number = known[0] if known else len(set(self._numbers.values())) + 1
        for one in identifiers:
            if one.lookup_text not in self._numbers:
                self._numbers[one.lookup_text] = number
                self._people[one] = Redaction([one], _person(one, self._numbers[one.lookup_text]))

    def learn(self, value: Any, field: str = "") -> None:
        """Take in the people whom fields of a document name."""
        if self._keeps_people:
            return
        if isinstance(value, Mapping):
            document = cast("Mapping[str, Any]", value)
            self._learn_actor(document)
            for name, entry in document.items():
                self.learn(entry, name)
        elif isinstance(value, list):
            for entry in cast("list[Any]", value):
                self.learn(entry, field)
        elif isinstance(value, str):
            if field.lower() in _PEOPLE:
                self._know_text(value)
            for found in _EMAIL.findall(value):
                self._know("email", found)
            for found in _MENTION.findall(value):
                self._know("login", found)

    def document(self, value: Any, field: str = "") -> Any:
        """Return a document without secrets, and without people unless they are kept."""
        if isinstance(value, str):
            return self.text(value, field)
        if isinstance(value, Mapping):
            return self._object(cast("Mapping[str, Any]", value))
        if isinstance(value, list | tuple):
            return [self.document(entry, field) for entry in cast("Iterable[Any]", value)]
        return value

    def text(self, value: str, field: str = "") -> str:
        """Return a text, which stands in a field of that name, reduced."""
        if field in _PROOFS or parse_id(value) is not None or _MOMENT.fullmatch(value):
            return value
        changed = str(redact({field: value})[field])
        if changed != value:
            self.hidden["secret"] += 1
        return changed if self._keeps_people else self._without_people(changed)

    def _object(self, value: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, entry in value.items():
            key = self.text(name)
            while key in made:
                # Two names may become one; neither entry may be lost.
                key += "'"
            made[key] = self.document(entry, name)
        return made

    def _without_people(self, text: str) -> str:
        for found in _EMAIL.findall(text):
            self._know("email", found)
        lowered = text.casefold()
        for identifier, redaction in self._people.items():
            if identifier.value.casefold() in lowered:
                changed = redaction.text(text)
                if changed != text:
                    self.hidden["person"] += 1
                    text, lowered = changed, changed.casefold()
        return self._without_numbers(text)

    def _without_numbers(self, text: str) -> str:
        text = IBAN.sub(lambda found: self._iban(found[0]), text)
        text = CARD.sub(lambda found: self._where(found[0], "card", is_card_number(_digits(found[0]))), text)
        text = _ADDRESS.sub(lambda found: self._where(found[0], "address", _is_address(found[0])), text)
        return _PHONE.sub(
            lambda found: self._where(found[0], "phone", len(_digits(found[0])) >= _SHORTEST_PHONE_DIGITS), text
        )

    def _iban(self, found: str) -> str:
        number = leading_iban(found)
        if number is None:
            return found
        # Words in capitals that follow the number are not part of it.
        end = _end_of(found, len(number))
        return self._where(found[:end], "iban", is_one=True) + found[end:]

    def _where(self, found: str, kind: str, is_one: bool) -> str:
        if not is_one:
            return found
        self.hidden[kind] += 1
        known = self._others.setdefault(kind, {})
        return known.setdefault(found, f"{kind}-{len(known) + 1}")

    def _learn_actor(self, document: Mapping[str, Any]) -> None:
        name, who = document.get("name"), document.get("id")
        is_person = document.get("kind") in ("user", "anonymous") or str(who).startswith("account:")
        if is_person and isinstance(name, str) and isinstance(who, str):
            self._know("name", name)
            account = who.removeprefix("account:")
            if account != who:
                self._know("login", account)

    def _know_text(self, value: str) -> None:
        text = value.strip()
        if not text or parse_id(text) is not None:
            return
        self._know("email" if "@" in text[1:] else "name" if " " in text else "login", text)

    def _know(self, kind: str, value: str) -> None:
        try:
            self.know(Identifier.of(kind, value))
        except InvalidInputError:
            # A field named like a person's that holds something else.
            return


def _person(identifier: Identifier, number: int) -> str:
    return f"person-{number}@{HIDDEN_HOST}" if identifier.kind == "email" else f"person-{number}"


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_address(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified)


def _end_of(text: str, characters: int) -> int:
    """Return where the first so many characters that are no spaces end."""
    for place, letter in enumerate(text):
        characters -= letter != " "
        if characters == 0:
            return place + 1
    return len(text)
