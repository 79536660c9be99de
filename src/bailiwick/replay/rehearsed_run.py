"""A run in which a candidate is rehearsed: answered from what another version did, and followed where that leads.

Unlike a replay it lets go of what the candidate no longer does. What it may
leave out without another world having come of it: effects that were never
carried out, and calculations. Everything else is answered in the recorded
order, and what was not recorded is not answered.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, cast

import orjson

from bailiwick.kernel.documents import encode
from bailiwick.replay.recording import RecordedRun
from bailiwick.replay.replaying import ReplayedRun
from bailiwick.tasks import Run
from bailiwick.tasks.acting import DONE_STATES, Acted, Effect
from bailiwick.tasks.journal import JournalEntry
from bailiwick.tasks.model import Labelled

EffectDocument = Mapping[str, Any]

ArgumentsOf = Callable[[Effect], Any]
"""Returns an effect's arguments as they would be kept."""

# What may have been there when the rest of the run went on.
_MAY_HAVE_BEEN = frozenset({*DONE_STATES, "reverted", "unknown", "executing"})


class RehearsedRun(ReplayedRun):
    """One recorded run, walked by a candidate.

    ``proposed`` are the ids of recorded effects that it proposes again, ``added``
    those it alone proposes. ``pure`` names the steps that only compute from what
    they are given: the candidate's own are run, recorded ones are passed over.
    """

    __slots__ = ("_arguments_of", "_at", "_pure", "_spans", "added", "finals", "proposed")

    def __init__(self, recording: RecordedRun, pure: frozenset[str], arguments_of: ArgumentsOf) -> None:
        super().__init__(recording, _RecordedEffects())
        self._pure = pure
        self._arguments_of = arguments_of
        self._at: dict[int, EffectDocument] = {one["seq"]: one for one in recording.effects}
        # From the first place of each ``run.act`` to behind its last, by every place between.
        self._spans: dict[int, tuple[int, int]] = {}
        # What became of each in the end: where something had moved, it was proposed several times.
        self.finals: list[EffectDocument] = []
        for start, end in _spans(recording, self._at):
            self._spans |= dict.fromkeys(range(start, end), (start, end))
            self.finals.append([one for seq, one in self._at.items() if start <= seq < end][-1])
        self.proposed: set[str] = set()
        self.added: list[Effect] = []

    async def step(self, name: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Return the recorded result; a step that only computes is run, with nothing outside within its reach."""
        if name not in self._pure:
            return await super().step(name, fn, *args, **kwargs)
        value = fn(*args, **kwargs)
        if hasattr(value, "__await__"):
            value = await value
        if isinstance(value, Labelled):
            self.label(*value.labels)
            value = cast("object", value.value)
        return orjson.loads(encode(value, what=f"result of step {name!r}"))

    def take(self, effect: Effect) -> Acted:
        """Return what became of a recorded effect that is proposed again; one that never was ends the rehearsal."""
        given = self._arguments_of(effect)
        place = self._seq
        while (entry := self._recorded.get(place)) is not None:
            recorded = self._at.get(place)
            if recorded is not None and (recorded["tool"], recorded["arguments"]) == (effect.tool, given):
                return self._answer(place)
            if not self._is_passable(place, entry):
                break
            place = self._behind(place)
        self.added.append(effect)
        return self._lose(f"it proposes {effect.tool} with {encode(given).decode()}, which was not proposed then")

    def _answer(self, place: int) -> Acted:
        start, end = self._spans[place]
        final = next(one for one in self.finals if start <= one["seq"] < end)
        self.proposed.add(final["id"])
        self._seq = end
        told: EffectDocument = final
        for step in self.recording.steps[start:end]:
            # The journal says what the run was told then; the effect may have moved on since.
            if isinstance(step.result, dict) and "state" in step.result:
                told = cast("dict[str, Any]", step.result)
        # What moved or was edited until nobody went on was declined in the end.
        state = "declined" if told["state"] in ("stale", "edited") else told["state"]
        return Acted(final["id"], state, told["reason"], told.get("result"))

    def _entry(self, kind: str, name: str) -> JournalEntry | None:
        place = self._place_of(kind, name)
        return None if place is None else self._recorded[place]

    def _next(self, kind: str, name: str) -> tuple[int, JournalEntry | None]:
        place = self._place_of(kind, name)
        if place is None or self._recorded[place].is_open:
            self._lose(f"it asks for {kind} {name!r}, which is not recorded there")
        for passed in range(self._seq, place):
            effect = self._at.get(passed)
            if effect is not None and effect["state"] in _MAY_HAVE_BEEN:
                self._lose(
                    f"it leaves out {effect['tool']} on {effect['target']}, and {kind} {name!r} was answered "
                    "when that had been done"
                )
        self._seq = place
        return super()._next(kind, name)

    def _place_of(self, kind: str, name: str) -> int | None:
        """Return where a call is recorded, if only what may be left out stands before it."""
        place = self._seq
        while (entry := self._recorded.get(place)) is not None:
            if place not in self._spans and (entry.kind, entry.name) == (kind, name):
                return place
            if not self._is_passable(place, entry):
                return None
            place = self._behind(place)
        return None

    def _is_passable(self, place: int, entry: JournalEntry) -> bool:
        return place in self._spans or (entry.kind == "step" and entry.name in self._pure)

    def _behind(self, place: int) -> int:
        return self._spans[place][1] if place in self._spans else place + 1

    def _lose(self, reason: str) -> NoReturn:
        self.diverge(None, None, reason)


class _RecordedEffects:
    async def act(self, run: Run, effect: Effect) -> Acted:
        return cast("RehearsedRun", run).take(effect)


def _spans(recording: RecordedRun, at: Mapping[int, EffectDocument]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    journal = recording.journal
    for seq in sorted(at):
        effect = at[seq]
        names = {f"{verb} {effect['tool']}" for verb in ("apply", "decline", "expire", "settled")}
        end = seq + 1
        while (entry := journal.get(end)) is not None and (
            (entry.kind == "step" and entry.name in names)
            or (entry.kind == "wait" and entry.name in ("approval.answered", "effect.settled"))
        ):
            end += 1
        if effect["round"] > 1 and spans:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((seq, end))
    return spans
