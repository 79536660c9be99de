"""What an archive hides: every secret, and people unless they are kept; the same person by the same token."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.kernel.ids import new_id
from bailiwick.privacy import Identifier
from bailiwick.replay.archive import parse_archive, write_archive
from bailiwick.replay.collecting import Collected
from bailiwick.replay.exporting import reduced
from bailiwick.replay.reducing import Reducer
from bailiwick.telemetry.redacting import hide

# Put together here, so that no scanner takes the file for a leak.
SECRETS = st.sampled_from([
    "gh" + "p_" + "A1b2C3d4E5" * 4, "bw" + "_" + "a1B2c3D4e5F6g7H8i9", "AKI" + "A" + "ABCDEFGHIJKLMNOP",
    "github" + "_pat_" + "11AAAAAAA0" * 4, "ey" + "J" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz",
])  # fmt: skip
WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)


def collected(**parts: Any) -> Collected:
    return Collected("o", "t", {"task": [{"id": "t"}], **parts})


@given(SECRETS, WORDS, WORDS, st.sampled_from(["payload", "name", "token", "result"]))
def test_no_planted_secret_survives(secret: str, before: str, after: str, field: str) -> None:
    planted = {
        field: f"{before} {secret} {after}", "deep": [{"list": [secret]}], secret: 1,
        "url": f"https://me:{secret}@host/", "header": f"Authorization: Bearer {secret}",
    }  # fmt: skip
    parts = reduced(collected(journal=[planted], events=[planted]), Reducer(keeps_people=True))
    data = write_archive({}, parts)
    assert secret.encode() not in data
    assert parse_archive(data).part("journal")


@given(st.text("abcdefghij0123456789", min_size=24, max_size=40), WORDS)
def test_a_secret_that_this_process_opened_does_not_survive_in_any_form(secret: str, around: str) -> None:
    hide(secret)
    parts = reduced(collected(journal=[{"result": f"{around}{secret}", "more": [secret]}]), Reducer())
    assert secret.encode() not in write_archive({}, parts)


def test_a_field_named_like_a_secret_is_hidden_whatever_it_holds() -> None:
    reducer = Reducer()
    made = reducer.document({"password": "hunter2hunter2", "api_key": "short", "note": "fine"})
    assert made == {"password": "***", "api_key": "***", "note": "fine"}
    assert reducer.hidden["secret"] == 2


def test_one_person_has_one_token_everywhere_and_an_address_stays_one() -> None:
    documents = [
        {"author": "octocat", "body": "@octocat wrote to octo@acme.dev and to bea@acme.dev"},
        {"assignees": ["octocat", "bea-b"], "note": "ask octo@acme.dev", "state": "open"},
    ]
    reducer = Reducer()
    reducer.know(Identifier.of("email", "octo@acme.dev"), Identifier.of("login", "octocat"))
    reducer.learn(documents)
    made = reducer.document(documents)
    assert made == [
        {"author": "person-1", "body": "person-1 wrote to person-1@hidden.invalid and to person-2@hidden.invalid"},
        {"assignees": ["person-1", "person-3"], "note": "ask person-1@hidden.invalid", "state": "open"},
    ]
    assert reducer.hidden["person"] == 7


def test_numbers_of_people_are_hidden_by_their_form_and_figures_stay() -> None:
    reducer = Reducer()
    made = reducer.document({
        "text": "call +49 30 901820 from 192.0.2.7, pay DE89 3704 0044 0532 0130 00 by 4111 1111 1111 1111",
        "figures": "1.2.3 and 2026-11-21 and 12345678901234567 and 12:30:45",
        "hash": "41111111111111114111111111111111",
    })  # fmt: skip
    assert made["text"] == "call phone-1 from address-1, pay iban-1 by card-1"
    assert made["figures"] == "1.2.3 and 2026-11-21 and 12345678901234567 and 12:30:45"
    assert made["hash"] == "41111111111111114111111111111111"


def test_ids_digests_and_moments_stay() -> None:
    document = {"id": new_id(), "digest": "a" * 64, "at": "2026-11-21T08:30:00+00:00", "author": new_id()}
    assert Reducer().document(document) == document


def test_people_stay_where_they_are_kept() -> None:
    document = {"author": "octocat", "body": "octo@acme.dev"}
    reducer = Reducer(keeps_people=True)
    reducer.learn(document)
    assert reducer.document(document) == document
    assert not reducer.hidden


def test_an_actor_is_a_person_only_where_it_is_one() -> None:
    documents = [
        {"actor": {"kind": "user", "id": new_id(), "name": "Ada Lovelace", "address": "198.51.100.7"}},
        {"actor": {"kind": "agent", "id": new_id(), "name": "Security"}, "text": "Ada Lovelace said yes to Security"},
    ]
    reducer = Reducer()
    reducer.learn(documents)
    made = reducer.document(documents)
    assert made[0]["actor"]["name"] == "person-1"
    assert made[0]["actor"]["address"] == "address-1"
    assert made[1]["actor"]["name"] == "Security"
    assert made[1]["text"] == "person-1 said yes to Security"


@given(st.lists(st.dictionaries(WORDS, WORDS, max_size=3), max_size=3))
def test_reducing_twice_changes_nothing_more(documents: list[dict[str, str]]) -> None:
    first = Reducer()
    first.learn(documents)
    once = first.document(documents)
    assert first.document(once) == once
