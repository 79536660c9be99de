"""Patterns of slots: which spell out everything that may pass."""

import pytest

from bailiwick.effects.slot_patterns import spells_out


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z0-9]+(?:-[a-z0-9]+)*$", r"^[A-Za-z0-9-]+/[A-Za-z0-9_.-]+$", r"^P[0-3]$", r"^v\d+\.\d+\.\d+$",
        "^(a|b|cd)$", "^x{1,3}$", r"^\-\.$", "^$", "^a*b?c+$",
    ],
)  # fmt: skip
def test_a_pattern_that_spells_everything_out_bounds(pattern: str) -> None:
    assert spells_out(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "^", "$", "a", "^a", "a$", "^.$", "^.*$", r"^\w+$", r"^\S+$", r"^\s$", r"^\D$", "^[^a]+$", "^a|b$",
        "^(?i)a$", "^(?i:a)$", "^(?=a)$", r"^(a)\1$", "^[a-z ]+$", "^a b$", "^[!-~]+$", "^[A-z]+$", "^[+-9]+$", "^(a$",
        "^a)$",
        "^[a$", "^a{,9999$", "^a**$", "^(?:(?:a|b| )+)$", r"^\x41$", "^é$", r"^\p{L}$", "^a\\$", r"^[a-\d]$",
        f"^{'a' * 300}$", '^"$', "^<a>$", "^[[:alpha:]]$", "^a\n$", "^[]x[]$", "^[]#-~[]+$",
    ],
)  # fmt: skip
def test_a_pattern_that_leaves_anything_open_does_not(pattern: str) -> None:
    assert not spells_out(pattern)
