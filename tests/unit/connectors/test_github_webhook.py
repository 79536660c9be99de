"""Webhook deliveries: who may send them, and what they become."""

import contextlib
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.connectors.facts import opened
from bailiwick.connectors.github.webhook import MAX_BODY_BYTES, DeliveryWindow, read_delivery
from bailiwick.kernel.clock import ManualClock
from bailiwick.kernel.errors import (
    BailiwickError,
    InvalidPayloadError,
    PayloadTooLargeError,
    UnauthorizedError,
)

SECRET = "a webhook secret"
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


def document(action: str = "opened", **changes: Any) -> dict[str, Any]:
    return {
        "action": action,
        "issue": {
            "number": 4,
            "id": 44,
            "title": "Cannot log in",
            "body": None,
            "state": "open",
            "html_url": "https://github.com/acme/shop/issues/4",
            "created_at": "2026-03-01T09:00:00Z",
            "updated_at": "2026-03-01T10:00:00Z",
            "closed_at": None,
            "user": {"login": "maria"},
            "labels": [],
        }
        | changes,
        "repository": {"id": 1, "full_name": "acme/shop", "private": True},
        "sender": {"login": "maria"},
    }


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def headers(data: bytes, *, event: str = "issues", secret: str = SECRET, **changes: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": DELIVERY,
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    } | changes


def test_the_signature_of_githubs_documentation_is_accepted() -> None:
    """The example values in "Validating webhook deliveries" of GitHub's documentation."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    named = headers(b"", **{"X-Hub-Signature-256": signature})
    with pytest.raises(InvalidPayloadError, match="not valid JSON"):
        read_delivery(named, b"Hello, World!", ["It's a Secret to Everybody"])


@pytest.mark.parametrize(
    ("action", "changes", "type_", "key"),
    [
        ("opened", {}, "issue.opened", "github:acme/shop#4:opened"),
        ("reopened", {}, "issue.reopened", "github:acme/shop#4:reopened:2026-03-01T10:00:00+00:00"),
        (
            "closed",
            {"state": "closed", "closed_at": "2026-03-01T10:00:00Z"},
            "issue.closed",
            "github:acme/shop#4:closed:2026-03-01T10:00:00+00:00",
        ),
        ("labeled", {"labels": [{"name": "P0"}]}, "issue.changed", "github:acme/shop#4:2026-03-01T10:00:00+00:00"),
        ("edited", {}, "issue.changed", "github:acme/shop#4:2026-03-01T10:00:00+00:00"),
        ("deleted", {}, "issue.closed", "github:acme/shop#4:closed:2026-03-01T10:00:00+00:00"),
    ],
)
def test_an_action_becomes_its_event(action: str, changes: dict[str, Any], type_: str, key: str) -> None:
    data = body(document(action, **changes))
    delivery = read_delivery(headers(data), data, [SECRET])
    (event,) = delivery.events
    assert (event.type, event.dedupe_key, event.key) == (type_, key, "acme/shop#4")
    assert (delivery.delivery_id, delivery.event, delivery.action) == (DELIVERY, "issues", action)
    assert delivery.issue is not None
    assert delivery.issue.body == ""


def test_a_webhook_and_a_file_tell_the_same_opening_with_the_same_key() -> None:
    data = body(document())
    delivery = read_delivery(headers(data), data, [SECRET])
    assert delivery.issue is not None
    assert delivery.events[0].dedupe_key == opened(delivery.issue).dedupe_key


def test_a_deleted_issue_counts_as_closed() -> None:
    data = body(document("deleted"))
    issue = read_delivery(headers(data), data, [SECRET]).issue
    assert issue is not None
    assert (issue.state, issue.state_reason, issue.closed_at) == ("closed", "deleted", None)


@pytest.mark.parametrize(("event", "value"), [("ping", {"zen": "x"}), ("push", {}), ("issue_comment", document())])
def test_other_deliveries_are_accepted_and_tell_nothing(event: str, value: object) -> None:
    data = body(value)
    assert read_delivery(headers(data, event=event), data, [SECRET]).events == ()


def test_a_form_delivery_is_read_too() -> None:
    data = urlencode({"payload": json.dumps(document(title="50% off & more"))}).encode()
    named = headers(data, **{"Content-Type": "application/x-www-form-urlencoded"})
    issue = read_delivery(named, data, [SECRET]).issue
    assert issue is not None
    assert issue.title == "50% off & more"


def test_header_names_may_be_written_in_any_case_and_an_old_secret_may_still_be_valid() -> None:
    data = body(document())
    named = {name.upper(): value for name, value in headers(data, secret="the old secret").items()}
    assert read_delivery(named, data, ["the new secret", "the old secret"]).events


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({}, ["another"]),
        ({}, []),
        ({}, [""]),
        ({"X-Hub-Signature-256": ""}, [SECRET]),
        ({"X-Hub-Signature-256": "sha256="}, [SECRET]),
        ({"X-Hub-Signature-256": "sha1=" + "0" * 40}, [SECRET]),
        ({"X-Hub-Signature-256": "sha256=é"}, [SECRET]),
    ],
)
def test_a_delivery_without_a_right_signature_is_refused(changes: dict[str, str], secrets: list[str]) -> None:
    data = body(document())
    with pytest.raises(UnauthorizedError):
        read_delivery(headers(data, **changes), data, secrets)


def test_an_empty_secret_never_matches() -> None:
    data = body(document())
    with pytest.raises(UnauthorizedError):
        read_delivery(headers(data, secret=""), data, [""])


def test_a_changed_body_is_refused() -> None:
    data = body(document())
    with pytest.raises(UnauthorizedError):
        read_delivery(headers(data), data.replace(b"log in", b"pay up"), [SECRET])


def test_an_oversized_body_is_refused_before_it_is_read() -> None:
    with pytest.raises(PayloadTooLargeError, match="the limit is 1,048,576"):
        read_delivery({}, b"x" * (MAX_BODY_BYTES + 1), [SECRET])


@pytest.mark.parametrize(
    "value",
    [[], 5, {"action": "opened"}, document(title=None), document(body="a\0b"), document() | {"repository": 5}],
)
def test_a_signed_delivery_that_is_none_is_refused(value: object) -> None:
    data = body(value)
    with pytest.raises(InvalidPayloadError):
        read_delivery(headers(data), data, [SECRET])


@pytest.mark.parametrize("delivery_id", ["", "short", "x" * 101, "two words here", "line\nbreak-here"])
def test_a_delivery_needs_an_id(delivery_id: str) -> None:
    data = body(document())
    with pytest.raises(InvalidPayloadError):
        read_delivery(headers(data, **{"X-GitHub-Delivery": delivery_id}), data, [SECRET])


@given(data=st.binary(max_size=200), content_type=st.sampled_from(["", "application/x-www-form-urlencoded"]))
def test_any_signed_bytes_end_in_a_clear_error_or_a_delivery(data: bytes, content_type: str) -> None:
    with contextlib.suppress(BailiwickError):
        read_delivery(headers(data, **{"Content-Type": content_type}), data, [SECRET])


class TestReplay:
    def test_a_delivery_is_a_replay_once_it_was_remembered(self) -> None:
        window = DeliveryWindow(clock=ManualClock(datetime(2026, 3, 1, tzinfo=UTC)))
        assert not window.is_replay(DELIVERY)
        assert not window.is_replay(DELIVERY), "one that failed may come again"
        window.remember(DELIVERY)
        assert window.is_replay(DELIVERY)

    def test_the_window_ends(self) -> None:
        clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
        window = DeliveryWindow(window_seconds=60, clock=clock)
        window.remember(DELIVERY)
        clock.advance(seconds=61)
        assert not window.is_replay(DELIVERY)

    def test_memory_is_bounded_and_the_oldest_go_first(self) -> None:
        window = DeliveryWindow(capacity=3, clock=ManualClock(datetime(2026, 3, 1, tzinfo=UTC)))
        for number in range(5):
            window.remember(f"delivery-{number}")
        assert [window.is_replay(f"delivery-{number}") for number in range(5)] == [False, False, True, True, True]
