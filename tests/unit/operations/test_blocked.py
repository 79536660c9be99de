import pytest

from bailiwick.cli.demo_summary import blocked_lines
from bailiwick.packs.operations.blocked import family_of, grouped, not_in_release


@pytest.mark.parametrize(
    ("reason", "family"),
    [
        (not_in_release("marketing"), "department_not_in_release"),
        ("cannot determine: order history missing", "lacks_input"),
        ("cannot determine: the logs; 1 passage(s) that give orders were set aside", "lacks_input"),
        ("probably the same as acme/shop#3 (score 0.81, both say: till); rests", "likely_duplicate"),
        ("needs a person: no department is sure enough (support 30%)", "needs_person"),
        ("held: it is P0; goes on after 15 min unless a person decides before", "needs_person"),
        ("no support agent could do it: all are at their limit", "needs_person"),
    ],
)
def test_the_reason_of_a_blocked_issue_says_what_it_waits_for(reason: str, family: str):
    assert family_of(reason) == family


def test_every_blocked_issue_is_in_one_family_and_departments_come_largest_first():
    found = grouped(
        [
            (not_in_release("sales"), "sales", 2),
            (not_in_release("marketing"), "marketing", 9),
            ("cannot determine: x", "qa", 3),
            ("needs a person: y", None, 1),
        ]
    )

    assert sum(found.families.values()) == 15
    assert list(found.departments.items()) == [("marketing", 9), ("sales", 2)]
    assert blocked_lines(found) == [
        "blocked: 11 wait for departments not in this release: marketing 9, sales 2",
        "blocked: 3 lack input",
        "blocked: 1 needs a person",
    ]
