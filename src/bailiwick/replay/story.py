"""A run told step by step: what was known, asked, decided, done and verified at each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]
Parts = Mapping[str, Sequence[Document]]
Facts = list[tuple[str, Any]]

ASPECTS = ("known", "asked", "decided", "done", "verified")
_PROPOSED = ("tool", "arguments", "target", "observed", "reason", "price", "effect_class", "labels", "digest")
_DECIDED = ("outcome", "voice", "rule", "reason", "policy_version", "level", "risk", "score", "is_shadow", "considered")
_APPROVAL_TIMES = frozenset({"expires_at", "escalates_at"})


@dataclass(slots=True)
class Moment:
    """One place of the story. ``seq`` is the journal's number where it is a step of it."""

    title: str
    at: str | None = None
    seq: int | None = None
    known: Facts = field(default_factory=list[tuple[str, Any]])
    asked: Facts = field(default_factory=list[tuple[str, Any]])
    decided: Facts = field(default_factory=list[tuple[str, Any]])
    done: Facts = field(default_factory=list[tuple[str, Any]])
    verified: Facts = field(default_factory=list[tuple[str, Any]])

    def aspects(self) -> Iterator[tuple[str, Facts]]:
        """Yield what there is to say, by aspect, in the order of the flow."""
        for name in ASPECTS:
            facts: Facts = getattr(self, name)
            if facts:
                yield name, facts


def story_of(parts: Parts) -> list[Moment]:
    """Return the moments of a run: what caused it, the task, every step, the end, and what was looked at later."""
    told = _Telling(parts)
    return [*told.causes(), told.beginning(), *told.steps(), told.end(), *told.looks()]


class _Telling:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._task = parts["task"][0]
        self._effects = list(parts.get("effects", ()))
        self._decisions = {one["id"]: one for one in parts.get("decisions", ())}
        self._approvals = {one["id"]: one for one in parts.get("approvals", ())}
        self._events = {one["id"]: one for one in parts.get("events", ())}
        self._children = {one["id"]: one for one in parts.get("children", ())}

    def causes(self) -> Iterator[Moment]:
        for event in self._parts.get("causes", ()):
            about = f" about {event['key']}" if event.get("key") else ""
            moment = Moment(f"event {event['type']}{about}", event["recorded_at"])
            moment.known = [("payload", event["payload"]), *_some(event, ("labels",))]
            yield moment

    def beginning(self) -> Moment:
        task = self._task
        moment = Moment(f"task {task['kind']}", task["started_at"] or task["inserted_at"])
        moment.known = [("payload", task["payload"]), *_some(task, ("priority", "deadline_at", "labels"))]
        moment.known += [("code version", task["code_version"])] if task.get("code_version") else []
        choice = task.get("choice") or {}
        for agent in self._parts.get("agent", ()):
            moment.decided.append(("agent", f"{agent['name']} ({agent['kind']})"))
        moment.decided += [("chosen because", choice["reason"])] if choice.get("reason") else []
        moment.decided += [("not chosen", choice["barred"])] if choice.get("barred") else []
        return moment

    def steps(self) -> Iterator[Moment]:
        for step in self._parts.get("journal", ()):
            moment = Moment(f"{step['kind']} {step['name']}", step["started_at"], step["seq"])
            if step.get("labels"):
                moment.known.append(("carries from here on", step["labels"]))
            if not self._tell_effect(step, moment):
                self._tell_plain(step, moment)
            yield moment

    def end(self) -> Moment:
        task = self._task
        moment = Moment(f"the run is {task['state']}", task.get("finished_at"))
        moment.done = [*_some(task, ("result", "reason", "cost"))]
        if task.get("wait_event"):
            moment.asked.append(("waits for", f"{task['wait_event']} of {task['wait_key']}"))
        moment.known = [("failed attempt", error) for error in task.get("errors") or ()]
        return moment

    def looks(self) -> Iterator[Moment]:
        for outcome in self._parts.get("outcomes", ()):
            moment = Moment(f"expected: {outcome['claim']}", outcome["checked_at"] or outcome["check_at"])
            moment.asked = [("check", outcome["check"]), *_some(outcome, ("arguments", "check_at"))]
            moment.verified = [("state", outcome["state"]), *_some(outcome, ("evidence", "missing", "checked_at"))]
            yield moment

    def _tell_plain(self, step: Document, moment: Moment) -> None:
        if step["finished_at"] is None:
            moment.asked.append(("waits for", step["name"]))
        elif step["kind"] == "spawn" and step["result"] in self._children:
            child = self._children[step["result"]]
            moment.asked.append(("given", child["payload"]))
            moment.done.append(("task", f"{child['kind']} {child['id']}, {child['state']}"))
        elif step["kind"] == "publish" and step["result"] in self._events:
            event = self._events[step["result"]]
            moment.done.append(("event", {"type": event["type"], "key": event["key"], "payload": event["payload"]}))
        else:
            moment.done.append(("result", step["result"]))

    def _tell_effect(self, step: Document, moment: Moment) -> bool:
        effect = next((one for one in self._effects if one["seq"] == step["seq"]), None)
        if effect is not None:
            self._tell_proposal(effect, moment)
            return True
        before = [one for one in self._effects if one["seq"] < step["seq"]]
        if before and step["kind"] == "wait" and step["name"] == "approval.answered":
            self._tell_approval(before[-1], step, moment)
            return True
        if before and step["name"] == f"apply {before[-1]['tool']}":
            self._tell_call(before[-1], moment)
            return True
        return False

    def _tell_proposal(self, effect: Document, moment: Moment) -> None:
        moment.asked = _some(effect, _PROPOSED)
        decision = self._decisions.get(effect.get("decision_id"))
        if decision is not None:
            moment.decided = _some(decision, _DECIDED)
        if effect["state"] == "declined":
            moment.decided.append(("declined", effect.get("problem")))

    def _tell_approval(self, effect: Document, step: Document, moment: Moment) -> None:
        approval = self._approvals.get(effect.get("approval_id"))
        if approval is not None:
            moment.asked = [
                (name, value) for name, value in approval.items()
                if name in ("roles", "quorum", "digest", "undo", "terms", "shown") or name in _APPROVAL_TIMES
            ]  # fmt: skip
            moment.decided = _some(approval, ("state", "answers", "reason"))
        if step["result"]:
            moment.decided.append(("answer", step["result"].get("payload")))

    def _tell_call(self, effect: Document, moment: Moment) -> None:
        moment.done = [("state", effect["state"]), *_some(effect, ("result", "problem", "undo", "undo_until"))]
        moment.done.append(("moves", [f"{move['state']} at {move['at']}" for move in effect.get("moves", ())]))
        moment.verified = _some(effect, ("evidence",))


def _some(document: Document, names: Sequence[str]) -> Facts:
    """Return what a document says under some names, without what it leaves open."""
    return [(name, document[name]) for name in names if document.get(name) not in (None, "", [], {}, False)]
