"""Connects the invented company to the demo's forge, and says what its agents may do there."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.resources import files

from bailiwick.audit import Actor
from bailiwick.connectors.github.coordinator import PollCursor
from bailiwick.demo.content import DEMO_REPOSITORY
from bailiwick.demo.forge_server import RunningForge
from bailiwick.installation import Installation
from bailiwick.kernel.errors import NotFoundError

_ACTOR = Actor("system", "demo", "the demo")
_NEVER_WITHIN = timedelta(days=1)


def demo_policy() -> str:
    """Return the demo's policy: labels of the closed list by the agents themselves, comments by people."""
    return (files("bailiwick.demo") / "data" / "policy.yaml").read_text(encoding="utf-8")


async def connect_outside(installation: Installation, organization_id: str, forge: RunningForge) -> None:
    """Connect the forge that runs now in place of the last demo's, and put the demo's policy in force."""
    with suppress(NotFoundError):
        await installation.connections.remove(organization_id, DEMO_REPOSITORY, actor=_ACTOR)
    connection = await installation.connections.add(
        organization_id, "github", DEMO_REPOSITORY, {"base_url": forge.url, "interval_seconds": 86_400},
        credentials={"token": forge.token}, actor=_ACTOR,
    )  # fmt: skip
    # The issues come from the demo's files; reading them here too would only find them again.
    now = datetime.now(UTC)
    cursor = asdict(PollCursor(since=now, is_caught_up=True))
    await installation.connections.save_poll(connection, cursor, now + _NEVER_WITHIN, problem=None)
    await installation.policies.put(organization_id, demo_policy(), actor=_ACTOR, note="the demo's own")
