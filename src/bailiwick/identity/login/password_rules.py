"""Which passwords are refused, and why: the short, the personal, the guessable and the breached. Nothing else.

The rules follow NIST SP 800-63B-4, section 3.1.1.2: a password that can open an
account by itself has at least 15 characters, there is no rule about kinds of
characters and no expiry, and what is commonly used, expected or breached is
refused with the reason. The shorter minimum of 8 for a password that is always
followed by a second factor is not used: second factors can be removed.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bailiwick.identity.login.breached_passwords import BreachedPasswords
from bailiwick.kernel.errors import InvalidInputError
from bailiwick.kernel.loading import load

MIN_CHARACTERS = 15
# Far beyond any passphrase; bounds what a request can make us hash.
MAX_BYTES = 1000
# Of the 0 to 4 of D. Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016:
# 3 means more than 10^8 guesses.
_LEAST_SCORE = 3
# The estimator's work grows with the square of the length; behind this nothing is estimated.
_ESTIMATED_CHARACTERS = 72
_LEAST_PERSONAL_CHARACTERS = 4
_PRODUCT = "bailiwick"
_ADVICE = "take four or more words picked at random, or let a password manager make one"
_PATTERNS = {
    "repeat": "it repeats itself",
    "sequence": "it follows the alphabet or counts",
    "spatial": "it follows the keys of a keyboard",
    "date": "it contains a date",
}


class PasswordRefusedError(InvalidInputError):
    """The password is not good enough; the message says why and never what it is."""

    code = "password.refused"


class PasswordRules:
    """The rules; ``breached_file`` is a file of breached passwords to hold them against too."""

    def __init__(self, breached_file: Path | None = None) -> None:
        self._breached = None if breached_file is None else BreachedPasswords(breached_file)

    def check(self, password: str, *, email: str, name: str) -> None:
        """Return if a person may have a password; takes up to a tenth of a second, so call it in a thread.

        Raises:
            PasswordRefusedError: they may not, with the reason.
            CannotDetermineError: the file of breached passwords cannot be read.
        """
        password = normal_password(password)
        if len(password) < MIN_CHARACTERS:
            raise PasswordRefusedError(
                f"the password has {len(password)} characters and needs at least {MIN_CHARACTERS}; {_ADVICE}"
            )
        _refuse_personal(password, email, name)
        _refuse_guessable(password, [email, name, _PRODUCT])
        if self._breached is not None and (count := self._breached.count(password)):
            raise PasswordRefusedError(f"the password was seen {count:,} times in data breaches; {_ADVICE}")


def normal_password(password: str) -> str:
    """Return a password in Unicode's NFKC form, so that every keyboard's way of writing it is the same.

    Raises:
        PasswordRefusedError: it is too long, or holds what is no text.
    """
    if len(password) > MAX_BYTES:
        raise PasswordRefusedError(f"the password is longer than {MAX_BYTES} bytes")
    normal = unicodedata.normalize("NFKC", password)
    try:
        length = len(normal.encode())
    except UnicodeEncodeError as error:
        raise PasswordRefusedError("the password is not valid Unicode text") from error
    if length > MAX_BYTES:
        raise PasswordRefusedError(f"the password is longer than {MAX_BYTES} bytes")
    return normal


def _refuse_personal(password: str, email: str, name: str) -> None:
    folded = password.casefold()
    words = {word for text in (email, name) for word in re.split(r"[\W_]+", text.casefold())}
    personal = sorted(word for word in words if len(word) >= _LEAST_PERSONAL_CHARACTERS and word in folded)
    if personal:
        raise PasswordRefusedError(f"the password contains {personal[0]!r} from your name or email address; {_ADVICE}")
    if _PRODUCT in folded:
        raise PasswordRefusedError(f"the password contains the name of this product; {_ADVICE}")


def _refuse_guessable(password: str, personal: Sequence[str]) -> None:
    estimate: dict[str, Any] = load("zxcvbn").zxcvbn(password[:_ESTIMATED_CHARACTERS], list(personal))
    if estimate["score"] >= _LEAST_SCORE:
        return
    reasons = {_reason(match) for match in estimate["sequence"]} - {""}
    raise PasswordRefusedError(
        f"the password would be found in about {_rounded(int(estimate['guesses']))} guesses"
        f"{': ' if reasons else ''}{', '.join(sorted(reasons))}; {_ADVICE}"
    )


def _reason(match: dict[str, Any]) -> str:
    if match["pattern"] == "dictionary":
        is_password = match["dictionary_name"] == "passwords"
        return "it is made of passwords that many people use" if is_password else "it is made of common words or names"
    return _PATTERNS.get(match["pattern"], "")


def _rounded(guesses: int) -> str:
    magnitude = 10 ** (len(str(guesses)) - 1)
    return f"{guesses // magnitude * magnitude:,}"
