"""Where the pack's tables hold personal data, and what erasure does there."""

from bailiwick.extensions import Registrar
from bailiwick.privacy import Location

_CLASS = "operations"
_OF_THEIR_ISSUE = (
    "issue_id in (select i.id from issues i where i.organization_id = %(org)s and i.key = any(%(records)s))"
)

LOCATIONS: tuple[Location, ...] = (
    Location(
        "issues",
        {
            "key": "name", "title": "text", "author": "name", "record": "document", "status_reason": "text",
            "classification": "document", "escalations": "document", "related": "document", "choice": "document",
            "oversight": "document",
        },
        "replace", _CLASS, about="key = any(%(records)s)",
        records="select key from issues where organization_id = %(org)s and lower(author) = any(%(names)s)",
    ),
    Location(
        "issue_transitions", {"actor": "name", "reason": "text", "details": "document"}, "replace", _CLASS,
        about=_OF_THEIR_ISSUE,
    ),
    Location(
        "issue_results", {"summary": "text", "data": "document", "evidence": "document", "gates": "document"},
        "replace", _CLASS, about=_OF_THEIR_ISSUE,
    ),
    # Weights name the words they were learned from; what is left teaches them anew at the next learning.
    Location("issue_classifiers", {}, "delete", _CLASS, mine="cardinality(%(records)s::text[]) > 0"),
)  # fmt: skip


def declare_people(registrar: Registrar) -> None:
    """Declare every table of the pack."""
    registrar.personal_data(*LOCATIONS)
    registrar.no_personal_data("meter_findings", "meters and figures; a meter is named by its id")
    registrar.no_personal_data("meter_days", "meters and figures; a meter is named by its id")
