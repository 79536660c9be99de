"""Another version of an agent over recorded runs: what it would propose, held against what is known by now."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from bailiwick.agents import Agent
from bailiwick.kernel.documents import encode
from bailiwick.kernel.errors import DatabaseUnavailableError
from bailiwick.replay.evidence import Evidence
from bailiwick.replay.recording import RecordedRun
from bailiwick.replay.rehearsal import Change, Divergence, Rehearsal, Side, counted, riskiest_first
from bailiwick.replay.rehearsed_run import ArgumentsOf, RehearsedRun
from bailiwick.replay.replaying import TIMEOUT_SECONDS, Stopped

_MAX_EXCERPT = 300


@dataclass(frozen=True, slots=True)
class RecordedWork:
    """A recorded run of an agent, and what is known by now of each of its effects."""

    recording: RecordedRun
    evidence: Mapping[str, Evidence]
    # By effect: the rule that decided.
    rules: Mapping[str, str]


async def rehearse_agent(
    works: Iterable[RecordedWork], candidate: Agent[Any], *, name: str, arguments_of: ArgumentsOf
) -> Rehearsal:
    """Return what a candidate would have done in recorded runs; steps and tools answer as they were recorded.

    The candidate's ``pure_steps`` are computed anew. Worse is: what people
    rejected or what did not work is proposed again, and what was verified no more.
    """
    changes: list[Change] = []
    diverged: list[Divergence] = []
    seen: list[tuple[str, str]] = []
    runs = compared = same = baseline = 0
    for work in works:
        runs += 1
        baseline += sum(one.against is not None for one in work.evidence.values())
        found, lost = await _rehearse(work, candidate, arguments_of)
        changes += found
        seen += [(change.effect_class, change.movement) for change in found]
        if lost is not None:
            diverged.append(lost)
            seen.append(("run", "diverged"))
            continue
        compared += 1
        is_same = all(change.movement == "again" for change in found)
        same += is_same
        seen.append(("run", "same" if is_same else "changed"))
    return Rehearsal(
        "agent", name, runs, compared, same, riskiest_first(changes), tuple(diverged), counted(seen), baseline
    )


async def _rehearse(
    work: RecordedWork, candidate: Agent[Any], arguments_of: ArgumentsOf
) -> tuple[list[Change], Divergence | None]:
    recording = work.recording
    if recording.agent is None:
        return [], Divergence(recording.task.id, "beginning", "the record of the run's agent is missing")
    run = RehearsedRun(recording, candidate.pure_steps, arguments_of)
    lost: Divergence | None = None
    result: Any = None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assignment = candidate.assignment.model_validate(recording.task.payload)
            result = orjson.loads(encode(await candidate.work(run, recording.agent, assignment)))
    except Stopped as stopped:
        lost = Divergence(recording.task.id, f"step {run.place}", stopped.replayed.detail)
    except DatabaseUnavailableError:
        lost = Divergence(recording.task.id, f"step {run.place}", "it reads the database outside of a recorded step")
    except ValidationError:
        lost = Divergence(recording.task.id, "beginning", "the recorded assignment does not fit the candidate's schema")
    except Exception as error:  # noqa: BLE001 - a candidate may fail in any way; that is what a rehearsal is for
        lost = Divergence(recording.task.id, f"step {run.place}", f"it fails: {type(error).__name__}: {error}")
    return _changes(work, run, result, is_whole=lost is None), lost


def _changes(work: RecordedWork, run: RehearsedRun, result: Any, *, is_whole: bool) -> list[Change]:
    changes: list[Change] = []
    for effect in run.finals:
        evidence = work.evidence.get(effect["id"], Evidence(effect["id"], effect["state"]))
        is_again = effect["id"] in run.proposed
        if is_again and evidence.against is not None:
            changes.append(_change(work, effect, evidence, f"it proposes again what it should not: {evidence.against}"))
        elif not is_again and is_whole:
            # Only a candidate that came to its end has certainly left it out.
            worse = "it no longer proposes what turned out to work" if evidence.is_verified else None
            changes.append(_change(work, effect, evidence, worse, is_dropped=True))
    changes += [
        Change(
            run.task.id, None, effect.tool, "unknown", "", "added", Side("not proposed"),
            Side("proposed", reason=effect.reason), "never proposed before",
        )
        for effect in run.added
    ]  # fmt: skip
    if is_whole and result != work.recording.result and not changes:
        old, new = Side("result", reason=_excerpt(work.recording.result)), Side("result", reason=_excerpt(result))
        changes.append(Change(run.task.id, None, "", "run", "", "result", old, new))
    return changes


def _change(
    work: RecordedWork, effect: Mapping[str, Any], evidence: Evidence, worse: str | None, *, is_dropped: bool = False
) -> Change:
    rule = work.rules.get(effect["id"], "")
    return Change(
        work.recording.task.id, effect["id"], effect["tool"], effect["effect_class"], effect["target"],
        "dropped" if is_dropped else "again", Side(effect["state"], rule, effect["reason"]),
        Side("not proposed" if is_dropped else "proposed again"), str(evidence), worse,
    )  # fmt: skip


def _excerpt(value: Any) -> str:
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= _MAX_EXCERPT else f"{text[: _MAX_EXCERPT - 1]}…"
