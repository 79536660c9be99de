"""The session job: exchanges an old signing key, removes ended sessions; and tells of stolen refresh tokens."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from bailiwick.events import EventType, NewEvent
from bailiwick.extensions import Kernel
from bailiwick.identity.tokens.session_tokens import Replay
from bailiwick.tasks import Run

KIND = "system.sessions"
EVENT = "session.replayed"
_HOME = "home"


class SessionsPayload(BaseModel):
    """The job is asked with nothing."""

    model_config = ConfigDict(extra="forbid")


class SessionReplayed(BaseModel):
    """A refresh token was used a second time, so somebody else had it; the session was ended."""

    user_id: str
    session_id: str
    # Where the second use came from.
    address: str | None


TYPE = EventType(EVENT, 1, SessionReplayed, key=lambda replayed: f"user:{replayed.user_id}", is_internal=True)


class SessionsJob:
    """The task kind ``system.sessions``."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def handle(self, run: Run, _: SessionsPayload) -> dict[str, Any]:
        """Rotate the signing key if it is 90 days old; remove sessions that ended 30 days ago."""
        return {
            "new_signing_key": await run.step("rotate", self._kernel.sessions.signing.rotate_if_due),
            "sessions_removed": await run.step("remove", self._kernel.sessions.remove_ended),
        }


class ReplayTeller:
    """Tells every organization of a user, or else the home organization, that a session was stolen."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def tell(self, replay: Replay) -> None:
        """Publish ``session.replayed``; once for a session."""
        rows = await self._kernel.database.fetch_all(
            "select organization_id from memberships_of(%s)", (replay.user_id,)
        )
        places = [str(row["organization_id"]) for row in rows]
        if not places:
            places = [(await self._kernel.organizations.ensure(_HOME)).id]
        payload = SessionReplayed(user_id=replay.user_id, session_id=replay.session_id, address=replay.address)
        event = NewEvent(EVENT, payload, dedupe_key=f"session.replayed:{replay.session_id}")
        for place in places:
            await self._kernel.events.publish(place, [event])
