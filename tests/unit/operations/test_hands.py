"""What people did at GitHub, read from its events as it writes them and made into calls."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bailiwick.connectors.github.deeds import Deed, Kind, deeds_of
from bailiwick.outcomes.shadowing import Counterpart, ShadowAct
from bailiwick.packs.operations.hands import counterparts

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SHOP = "acme/shop"
ISSUE = {"repository": SHOP, "number": 7}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of an issue, as GitHub's REST API writes it."""
    return {
        "id": 6430295168,
        "node_id": "LOE_lADOAJy2",
        "url": "https://api.github.com/repos/acme/shop/issues/events/6430295168",
        "actor": {"login": "maria", "id": 5, "type": "User", "site_admin": False},
        "event": kind,
        "commit_id": None,
        "commit_url": None,
        "created_at": "2026-11-02T09:00:00Z",
        "performed_via_github_app": None,
        **fields,
    }


def act(tool: str, **arguments: Any) -> ShadowAct:
    return ShadowAct(
        "e", "o", "a", "write", tool, {**ISSUE, **arguments}, "issue:acme/shop#7", True, NOW, NOW + timedelta(days=3)
    )


def deed(kind: Kind, what: str | None = None, *, minute: int = 0) -> Deed:
    return Deed(f"{kind}-{minute}", NOW + timedelta(minutes=minute), kind, what)


def calls(act: ShadowAct, *deeds: Deed) -> list[tuple[str, Any]]:
    """Return the calls that deeds amount to."""
    found: list[Counterpart] = counterparts(act, SHOP, 7, deeds)
    return [
        (one.tool, {name: value for name, value in (one.arguments or {}).items() if name not in ISSUE})
        for one in found
        if one.tool is not None
    ]


@pytest.mark.parametrize(
    ("written", "kind", "what"),
    [
        (event("labeled", label={"name": "bug", "color": "f29513"}), "labeled", "bug"),
        (event("unlabeled", label={"name": "bug", "color": "f29513"}), "unlabeled", "bug"),
        (event("closed", state_reason="not_planned"), "closed", "not_planned"),
        (event("reopened", state_reason=None), "reopened", None),
        (event("assigned", assignee={"login": "ali"}, assigner={"login": "maria"}), "assigned", "ali"),
    ],
)
def test_deeds_of_people_are_read(written: dict[str, Any], kind: str, what: str | None) -> None:
    (found,) = deeds_of([written], own=None)
    assert found == Deed("6430295168", NOW, kind, what)  # pyright: ignore[reportArgumentType] - one of the kinds


@pytest.mark.parametrize(
    "fields",
    [
        {"actor": {"login": "dependabot[bot]", "type": "Bot"}},
        {"actor": {"login": "renovate[bot]", "type": "User"}},
        {"actor": {"login": "acme", "type": "Organization"}},
        {"actor": {"login": "Acme-Robot", "type": "User"}},
        {"actor": None},
        {"performed_via_github_app": {"id": 1, "slug": "bailiwick"}},
        {"commit_id": "6dcb09b5b57875f334f61aebed695e2e4193db5e"},
        {"created_at": None},
        {"event": "mentioned"},
    ],
)
def test_bots_apps_our_own_token_and_what_does_not_say_who_are_no_people(fields: dict[str, Any]) -> None:
    assert deeds_of([event("closed", **fields)], own="acme-robot") == []


def test_labels_are_one_call_however_many_clicks_they_took() -> None:
    wanted = act("github.add_labels", labels=["needs-info", "bug"])
    given = (deed("labeled", "Bug"), deed("labeled", "needs-info", minute=1), deed("labeled", "ui", minute=2))
    assert calls(wanted, *given) == [("github.add_labels", {"labels": ["needs-info", "bug", "ui"]})]


def test_what_people_took_back_themselves_is_no_more_their_word() -> None:
    wanted = act("github.add_labels", labels=["bug"])
    assert calls(wanted, deed("labeled", "bug"), deed("unlabeled", "bug", minute=1)) == [
        ("github.remove_labels", {"labels": ["bug"]})
    ]
    closing = act("github.close_issue", reason="completed")
    assert calls(closing, deed("closed", "completed"), deed("reopened", minute=1)) == [("github.reopen_issue", {})]


def test_closing_is_compared_with_closing_and_its_reason() -> None:
    closing = act("github.close_issue", reason="completed")
    assert calls(closing, deed("closed", "not_planned")) == [("github.close_issue", {"reason": "not_planned"})]
    assert calls(closing, deed("closed")) == [("github.close_issue", {"reason": "completed"})]
    assert calls(closing, deed("labeled", "bug"), deed("assigned", "ali")) == []


def test_other_deeds_are_shown_and_amount_to_no_call() -> None:
    found = counterparts(act("github.comment", body="Thank you."), SHOP, 7, [deed("closed"), deed("assigned", "ali")])
    assert [(one.tool, one.source) for one in found] == [
        (None, "closed at github: closed-0"), (None, "assigned at github: assigned-0"),
    ]  # fmt: skip
