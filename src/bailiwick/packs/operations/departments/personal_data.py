"""Finds personal data in text: e-mail addresses, IBANs, payment cards, US social security numbers. Reported masked."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bailiwick.packs.operations.departments.body import Line
from bailiwick.privacy.forms import CARD, IBAN, is_card_number, leading_iban


@dataclass(frozen=True, slots=True)
class PersonalDatum:
    """Personal data at a place: ``kind`` is ``e-mail address``, ``IBAN``, ``payment card`` or ``US SSN``."""

    kind: str
    source: str
    masked: str


_EMAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)(\d{3})-(?!00)\d{2}-(?!0000)(\d{4})(?![\d-])")
# Names that by RFC 2606 or by use belong to nobody.
_NOBODY_DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "example",
    "test",
    "invalid",
    "localhost",
    "users.noreply.github.com",
)
_NOBODY_LOCALS = frozenset({"noreply", "no-reply", "git", "postmaster", "abuse", "security", "support", "info"})


def find_personal_data(lines: Iterable[Line]) -> Iterator[PersonalDatum]:
    """Yield personal data whose check digits hold; addresses that belong to nobody do not count."""
    for line in lines:
        for found in _EMAIL.finditer(line.text):
            if _is_personal(found.group(1), found.group(2)):
                yield PersonalDatum("e-mail address", line.source, f"{found.group(1)[0]}…@{found.group(2)}")
        for found in IBAN.finditer(line.text):
            number = leading_iban(found.group())
            if number is not None:
                yield PersonalDatum("IBAN", line.source, f"{number[:2]}… ({len(number)} characters)")
        for found in CARD.finditer(line.text):
            digits = re.sub(r"[ -]", "", found.group())
            if is_card_number(digits):
                yield PersonalDatum("payment card", line.source, f"… ends {digits[-4:]}")
        for found in _SSN.finditer(line.text):
            yield PersonalDatum("US SSN", line.source, f"… ends {found.group(2)}")


def _is_personal(local: str, domain: str) -> bool:
    lowered = domain.lower()
    nobody = any(lowered == name or lowered.endswith(f".{name}") for name in _NOBODY_DOMAINS)
    return not nobody and local.lower() not in _NOBODY_LOCALS
