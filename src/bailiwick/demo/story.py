"""The demo's events as sentences: what a person wants to see go by, and what is worth a closer look."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from bailiwick.events import Event

ORDERS_RULE = "orders-to-agents"
"""The rule of the built-in ceiling about texts that give orders to agents."""

Tone = Literal["plain", "good", "notice", "alarm", "quiet"]


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence about one issue or meter; ``subject`` is short, ``key`` whole."""

    at: datetime
    subject: str
    key: str | None
    verb: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Highlight:
    """An issue worth a closer look, and why."""

    key: str
    why: str


class Story:
    """Turns events into lines as they come, and remembers what stands out."""

    def __init__(self) -> None:
        self._titles: dict[str, str] = {}
        self._highlights: dict[str, Highlight] = {}

    def tell(self, event: Event) -> Line | None:
        """Return the line of an event, or None where it would only repeat another."""
        if event.type in ("issue.opened", "issue.imported") and event.key is not None:
            self._titles[event.key] = str(event.payload.get("title", ""))
            return None
        teller = _TELLERS.get(event.type)
        if teller is None:
            return None
        verb, text, tone = teller(event.payload)
        key = _key(event)
        self._remember(event, key)
        subject = key or ""
        return Line(event.recorded_at, subject.rpartition("#")[2] or subject, key, verb, text, tone)

    def title(self, key: str | None) -> str:
        """Return the title of an issue, empty if it is unknown."""
        return self._titles.get(key or "", "")

    def highlights(self) -> list[Highlight]:
        """Return what stood out: one issue of each sort, and one that is of several sorts once."""
        reasons: dict[str, list[str]] = {}
        for highlight in self._highlights.values():
            reasons.setdefault(highlight.key, []).append(highlight.why)
        return [Highlight(key, "; ".join(whys)) for key, whys in reasons.items()]

    def _remember(self, event: Event, key: str | None) -> None:
        payload = event.payload
        is_refused = event.type == "effect.declined" and ORDERS_RULE in str(payload.get("reason", ""))
        found = {
            "urgent": (event.type == "issue.classified" and payload.get("priority") == "P0", "the most urgent one"),
            "injection": (bool(payload.get("set_aside")), "its text tries to give orders to the agents"),
            "refused": (is_refused, f"what was to go out for it is refused by {ORDERS_RULE}"),
            "late": (event.type in ("sla.breached", "emergency.declared"), "it missed its deadline"),
            "at risk": (event.type == "sla.at_risk", "its deadline is near"),
            "copy": (event.type == "issue.duplicate_found", "reported twice in different words"),
            "failed gate": (event.type == "issue.gated" and bool(payload.get("failed")), "a quality gate refused"),
        }
        for sort, (is_so, why) in found.items():
            if is_so and key is not None:
                self._highlights.setdefault(sort, Highlight(key, why))


def _key(event: Event) -> str | None:
    """Return the issue or meter that an event is about; of an effect that is its target."""
    target = event.payload.get("target")
    return str(target).removeprefix("issue:") if event.type.startswith("effect.") else event.key


_Told = tuple[str, str, Tone]


def _proposed(payload: Mapping[str, Any]) -> _Told:
    if payload["state"] == "waiting":
        return "asks", f"{payload['tool']} waits for a person's yes", "notice"
    return "may", f"{payload['tool']} is allowed", "quiet"


def _declined(payload: Mapping[str, Any]) -> _Told:
    return "refused", f"{payload['tool']}: {payload['reason']}", "alarm"


def _did(verb: str, text: str, tone: Tone) -> Callable[[Mapping[str, Any]], _Told]:
    def tell(payload: Mapping[str, Any]) -> _Told:
        return verb, f"{payload['tool']} {text}", tone

    return tell


def _classified(payload: Mapping[str, Any]) -> _Told:
    operation = payload.get("operation")
    work = f"{payload['department']}/{operation}" if operation else str(payload["department"])
    evidence = ", ".join(payload.get("evidence", ())[:3])
    because = f"  by {payload['source']}{f': {evidence}' if evidence else ''}"
    tone: Tone = "alarm" if payload["priority"] == "P0" else "plain"
    return payload["priority"], f"{work}, {payload['confidence']:.0%} sure{because}", tone


def _overseen(payload: Mapping[str, Any]) -> _Told:
    tone: Tone = "plain" if payload["decision"] == "proceed" else "notice"
    return payload["decision"], "; ".join(payload["reasons"]), tone


def _gated(payload: Mapping[str, Any]) -> _Told:
    if payload["failed"]:
        return "gates", f"refused by {', '.join(payload['failed'])}", "alarm"
    passed = ", ".join(payload["passed"])
    return "gates", f"passed {passed}" if passed else "nothing to measure", "good" if passed else "quiet"


def _escalated(payload: Mapping[str, Any]) -> _Told:
    is_raised = payload["before"] != payload["after"]
    verb = f"{payload['before']}→{payload['after']}" if is_raised else "escalate"
    return verb, payload["reason"], "alarm"


def _recorded(payload: Mapping[str, Any]) -> _Told:
    is_answered = payload["status"] == "done"
    return ("result" if is_answered else "missing"), payload["summary"], "plain" if is_answered else "quiet"


def _settled(verb: str, tone: Tone) -> Callable[[Mapping[str, Any]], _Told]:
    def tell(payload: Mapping[str, Any]) -> _Told:
        return verb, payload["reason"], tone

    return tell


_TELLERS: Mapping[str, Callable[[Mapping[str, Any]], _Told]] = {
    "issue.classified": _classified,
    "issue.duplicate_found": lambda p: ("twin", f"like #{p['duplicate_of'].rpartition('#')[2]}", "notice"),
    "issue.assigned": lambda p: ("→ agent", p["reason"], "plain"),
    "issue.overseen": _overseen,
    "issue.escalated": _escalated,
    "issue.result_recorded": _recorded,
    "issue.gated": _gated,
    "issue.done": _settled("done", "good"),
    "issue.in_review": _settled("review", "notice"),
    "issue.blocked": _settled("blocked", "quiet"),
    "issue.failed": _settled("failed", "alarm"),
    "sla.at_risk": _settled("at risk", "alarm"),
    "sla.breached": _settled("late", "alarm"),
    "emergency.declared": _settled("emergency", "alarm"),
    "effect.proposed": _proposed,
    "effect.declined": _declined,
    "effect.applied": _did("applied", "is carried out", "plain"),
    "effect.verified": _did("verified", "was seen to stand", "good"),
    "effect.refuted": _did("refuted", "does not stand", "alarm"),
    "effect.failed": _did("failed", "failed", "alarm"),
    "effect.unknown": _did("unknown", "broke off: a person has to look", "alarm"),
    "meter.anomaly_found": lambda p: (p["kind"], p["detail"], "notice"),
}
