"""GitHub's webhook deliveries: checked, then read as events."""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from bailiwick.connectors.facts import brought, changed, closed, opened, reopened
from bailiwick.connectors.github.payload import issue_from_document
from bailiwick.connectors.issues import IssueRecord
from bailiwick.events import NewEvent
from bailiwick.kernel.clock import Clock, SystemClock
from bailiwick.kernel.documents import decode
from bailiwick.kernel.errors import InvalidPayloadError, PayloadTooLargeError, UnauthorizedError
from bailiwick.kernel.labels import untrusted

MAX_BODY_BYTES = 1024 * 1024
_DELIVERY_ID = re.compile(r"[A-Za-z0-9-]{8,100}")
_GITHUB = untrusted("github")
_GONE = frozenset(("deleted", "transferred"))
_FACTS: Mapping[str, Callable[[IssueRecord], NewEvent]] = {"opened": opened, "reopened": reopened, "closed": closed}


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One delivery whose signature is right; ``events`` is empty where it tells nothing about an issue."""

    delivery_id: str
    event: str
    action: str | None
    issue: IssueRecord | None
    events: tuple[NewEvent, ...]


def read_delivery(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> WebhookDelivery:
    """Return the delivery, after its size and signature were checked and before anything else is looked at.

    ``secrets`` are all that are valid at the moment: two while one is replaced.

    Raises:
        PayloadTooLargeError: the body or the issue in it is too large (body: ``MAX_BODY_BYTES``).
        UnauthorizedError: there is no valid signature by one of the secrets.
        InvalidPayloadError: it is signed but is no delivery of GitHub.
    """
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLargeError(f"the delivery is {len(body):,} bytes, the limit is {MAX_BODY_BYTES:,}")
    named = {name.lower(): value for name, value in headers.items()}
    _check_signature(named.get("x-hub-signature-256", ""), body, secrets)
    delivery_id = named.get("x-github-delivery", "")
    event = named.get("x-github-event", "")
    if not _DELIVERY_ID.fullmatch(delivery_id) or not event:
        raise InvalidPayloadError("the headers X-GitHub-Delivery and X-GitHub-Event are missing or malformed")
    document = decode(_json_part(named.get("content-type", ""), body))
    if not isinstance(document, dict):
        raise InvalidPayloadError("the delivery is not a JSON object")
    action = document.get("action")
    action = action if isinstance(action, str) else None
    if event != "issues" or action is None:
        return WebhookDelivery(delivery_id, event[:100], action, None, ())
    issue = _issue(document, action)
    return WebhookDelivery(delivery_id, event, action, issue, (_event(issue, action),))


def _check_signature(signature: str, body: bytes, secrets: Sequence[str]) -> None:
    given = signature.removeprefix("sha256=").encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), given)
        for secret in secrets
        if secret
    ]
    if not signature.startswith("sha256=") or not any(matches):
        raise UnauthorizedError("the delivery is not signed with the webhook secret of this connection")


def _json_part(content_type: str, body: bytes) -> bytes:
    if not content_type.lower().startswith("application/x-www-form-urlencoded"):
        return body
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=10, errors="strict")
    except ValueError as error:
        raise InvalidPayloadError("the delivery is not a form; choose the content type application/json") from error
    return fields.get("payload", [""])[0].encode()


def _issue(document: Mapping[str, object], action: str) -> IssueRecord:
    payload = document.get("issue")
    repository = document.get("repository")
    if not isinstance(payload, dict) or not isinstance(repository, dict):
        raise InvalidPayloadError("the delivery names no issue or no repository")
    issue = issue_from_document({**payload, "repository": repository})
    if action in _GONE:
        return issue.model_copy(update={"state": "closed", "state_reason": action})
    return issue


def _event(issue: IssueRecord, action: str) -> NewEvent:
    fact = closed if action in _GONE else _FACTS.get(action, changed)
    return brought(fact(issue), _GITHUB)


class DeliveryWindow:
    """Remembers the deliveries of the last days, so that a recorded one cannot be played again.

    A delivery is to be remembered only after its events are published: one
    that failed may come again. Two processes each have a window of their own;
    the events' own keys keep a delivery that reaches both from counting twice.
    """

    def __init__(
        self, *, window_seconds: float = 3 * 86_400, capacity: int = 20_000, clock: Clock | None = None
    ) -> None:
        """Keep ids for ``window_seconds``, GitHub's own time for redelivery by default, at most ``capacity``."""
        self._window = timedelta(seconds=window_seconds)
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def is_replay(self, delivery_id: str) -> bool:
        """Say whether this delivery was remembered within the window."""
        self._forget_old()
        return delivery_id in self._seen

    def remember(self, delivery_id: str) -> None:
        """Note that the events of this delivery are published."""
        self._seen[delivery_id] = self._clock.now()
        self._seen.move_to_end(delivery_id)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._clock.now() - self._window
        while self._seen and (len(self._seen) > self._capacity or next(iter(self._seen.values())) < oldest):
            self._seen.popitem(last=False)
