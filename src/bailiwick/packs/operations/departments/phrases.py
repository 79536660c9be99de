"""Patterns of plain words, written so that people can read them."""

import re


def any_phrase(*phrases: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the phrases as whole words, whatever their case.

    A space stands for up to three blanks, so a match takes time linear in the line; everything else in a
    phrase is an ordinary regular expression.
    """
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b".replace(" ", r"\s{1,3}"), re.IGNORECASE)
