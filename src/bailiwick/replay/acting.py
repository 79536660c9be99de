"""Answers ``run.act`` from a recording: what is proposed is compared, and nothing is carried out."""

from bailiwick.effects import ToolRegistry
from bailiwick.kernel.errors import UnknownKindError
from bailiwick.replay.replaying import ReplayedRun
from bailiwick.tasks import Run
from bailiwick.tasks.acting import Acted, Acting, Effect


class RecordedActing:
    """Lets the platform's own acting walk through the recorded steps of an effect; it never comes to a tool."""

    def __init__(self, acting: Acting, tools: ToolRegistry) -> None:
        self._acting = acting
        self._tools = tools

    async def act(self, run: Run, effect: Effect) -> Acted:
        """Compare an effect with the recorded one in its place, and answer what became of that one."""
        if isinstance(run, ReplayedRun):
            try:
                schema = self._tools.get(effect.tool).arguments
            except UnknownKindError:
                # Without the tool's schema nobody knows its defaults; what is given still must be as recorded.
                schema = None
            run.compare_effect(effect, schema)
        return await self._acting.act(run, effect)
