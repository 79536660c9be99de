"""Webhooks: deliveries of outside systems. The signature is the key."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from bailiwick.api.access import Platform
from bailiwick.api.rest.pages import problems
from bailiwick.connectors.connections import ConnectionRecord
from bailiwick.connectors.errors import SecretMissingError
from bailiwick.connectors.github.connection import KIND, GitHubConnection
from bailiwick.connectors.github.webhook import DeliveryWindow, WebhookDelivery, read_delivery
from bailiwick.events.rejections import NewRejection
from bailiwick.installation import Installation
from bailiwick.kernel.documents import decode, encode
from bailiwick.kernel.errors import (
    ConflictError,
    InvalidInputError,
    InvalidPayloadError,
    PayloadTooLargeError,
)

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


class Delivered(BaseModel):
    """What became of a delivery."""

    recorded: int = Field(description="New events.", examples=[1])
    duplicates: int = Field(description="Events that were there before.", examples=[0])


@router.post(
    "/github/{connection_id}",
    summary="Receive a GitHub delivery",
    responses=problems(401, 409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A delivery as GitHub signs it in `X-Hub-Signature-256`; at most 1 MiB.",
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {"action": "opened", "issue": {"number": 7}, "repository": {"full_name": "acme/shop"}},
                }
            },
        }
    },
)
async def receive_github_delivery(
    platform: Platform,
    request: Request,
    connection_id: Annotated[
        str,
        Path(max_length=100, description="The connection's id.", examples=["0199b6ff-b66f-7000-8000-000000000008"]),
    ],
) -> Delivered:
    """Record what a signed delivery tells about issues; anything else is acknowledged and left alone.

    A delivery sent again records nothing twice.
    """
    body = await request.body()
    connection = await platform.connections.find_by_id(connection_id)
    secrets = await _secrets(platform, connection)
    try:
        delivery = read_delivery(request.headers, body, secrets)
    except InvalidPayloadError as error:
        assert connection is not None
        await _keep(platform, connection, body, str(error))
        raise
    # Only a signature by the connection's secret comes this far.
    assert connection is not None
    _check_target(connection, delivery)
    window: DeliveryWindow = request.app.state.deliveries
    if window.is_replay(delivery.delivery_id):
        return Delivered(recorded=0, duplicates=len(delivery.events))
    published = await platform.events.publish(connection.organization_id, delivery.events) if delivery.events else []
    window.remember(delivery.delivery_id)
    duplicates = sum(answer.is_duplicate for answer in published)
    return Delivered(recorded=len(published) - duplicates, duplicates=duplicates)


async def _secrets(platform: Installation, connection: ConnectionRecord | None) -> list[str]:
    """Return the secrets of a connection; none, and so no valid signature, where there is no such connection.

    Two lines are two secrets, for the time in which one is replaced.
    """
    if connection is None or connection.kind != KIND:
        return []
    try:
        opened = await platform.connections.credentials.open(connection)
        secret = GitHubConnection.of(connection.configuration).secret(opened)
    except (InvalidInputError, SecretMissingError) as error:
        # Whoever delivers learns nothing of this; whoever runs the platform does.
        log.warning("webhook refused", connection_id=connection.id, reason=str(error))
        return []
    return [line.strip() for line in (secret or "").splitlines() if line.strip()]


def _check_target(connection: ConnectionRecord, delivery: WebhookDelivery) -> None:
    if connection.state != "active":
        raise ConflictError(f"this connection is {connection.state}; resume it and let GitHub deliver again")
    issue = delivery.issue
    if issue is not None and issue.repository.lower() != connection.target.lower():
        raise InvalidInputError("the delivery is about another repository than this connection")


async def _keep(platform: Installation, connection: ConnectionRecord, body: bytes, reason: str) -> None:
    """Keep a signed delivery's unreadable issue in the rejected list, if there is one in it."""
    try:
        document = decode(body)
        issue = document["issue"]
        raw = encode(issue, what="issue").decode()
    except (InvalidPayloadError, PayloadTooLargeError, KeyError, TypeError):
        return
    record = NewRejection("github", None, reason, raw, context={"repository": connection.target})
    await platform.rejections.keep(connection.organization_id, [record])
