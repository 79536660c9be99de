"""Runs as programs of what can carry labels, with what they must carry after each call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import strategies as st

from bailiwick.events import NewEvent
from bailiwick.tasks import Labelled, Run

Kind = Literal["step", "labelled step", "label", "label in step", "spawn", "publish", "wait", "gather", "sleep"]

LABELS = ("untrusted:github", "untrusted:mail", "by:user:anna", "by:key:k1", "by:service:bridge")
# After these the run knows something more.
TEACHING: frozenset[Kind] = frozenset({"labelled step", "label", "label in step", "wait", "gather"})


@dataclass(frozen=True)
class Call:
    """One durable call; ``labels`` are those of what it brings, or of what is published."""

    kind: Kind
    labels: frozenset[str]


Program = Sequence[Call]

labels = st.frozensets(st.sampled_from(LABELS), max_size=2)
calls = st.builds(
    Call,
    st.sampled_from(["step", "labelled step", "label", "label in step", "spawn", "publish", "wait", "gather", "sleep"]),
    labels,
)
programs = st.lists(calls, max_size=8)


def carried(program: Program, beginning: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield what the run must carry after each call."""
    known = beginning
    for call in program:
        known |= call.labels if call.kind in TEACHING else frozenset()
        yield known


async def execute(run: Run, program: Program, seen: list[frozenset[str]]) -> list[str]:
    """Carry a program out, noting what the run carries after each call; return what it carries at its end."""
    for number, call in enumerate(program):
        await _make(run, call, number)
        seen.append(run.labels)
    return sorted(run.labels)


async def _make(run: Run, call: Call, number: int) -> None:
    if call.kind == "step":
        await run.step("plain", _answer)
    elif call.kind == "labelled step":
        assert await run.step("labelled", _labelled, call.labels) == "text"
    elif call.kind == "label":
        run.label(*call.labels)
    elif call.kind == "label in step":
        await run.step("labelling", _labelling, run, call.labels)
    elif call.kind == "spawn":
        await run.spawn("child", {})
    elif call.kind == "publish":
        await run.publish(NewEvent("told", {}, key=f"{run.task.id}:{number}", labels=call.labels))
    elif call.kind == "wait":
        await run.wait_for("answered", key=f"{run.task.id}:{number}")
    elif call.kind == "gather":
        await run.gather([await run.spawn("learning child", {"labels": sorted(call.labels)})])
    else:
        await run.sleep(0.001)


async def _answer() -> str:
    return "text"


async def _labelled(given: frozenset[str]) -> Labelled[str]:
    return Labelled("text", given)


async def _labelling(run: Run, given: frozenset[str]) -> Any:
    run.label(*given)
