from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from rich.console import Console

from bailiwick.agents import AgentStatistics
from bailiwick.cli.demo_screen import DemoScreen
from bailiwick.demo.effects import EffectsSeen
from bailiwick.demo.pulse import Movement, Pulse
from bailiwick.demo.story import Story
from bailiwick.events import Event
from bailiwick.packs.operations.blocked import grouped
from bailiwick.packs.operations.event_types import EVENT_TYPES
from bailiwick.packs.operations.reader import SlaCounts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = "harbour-lane/operations#7"


def event(type_name: str, payload: Mapping[str, object], key: str = KEY) -> Event:
    return Event("01a1fab2-18a5-70a7-b4da-57421291aae8", "org", type_name, 1, key, dict(payload), None, NOW, NOW)


def pulse() -> Pulse:
    agents = tuple(
        AgentStatistics(f"id-{n}", f"Agent number {n} with a long name", "support", n, n, 0, 0.0, n, 0.1, 12.5)
        for n in range(9)
    )
    issues = {"status": {"todo": 80, "done": 3, "blocked": 7}, "department": {}, "priority": {"P0": 3, "P1": 87}}
    return Pulse(
        Movement(5, 1, 0), {"completed": 9, "cancelled": 0, "discarded": 0, "executing": 5}, {"issue.opened": 90},
        agents, issues, SlaCounts(1, 2, 3), 11,
        grouped([]), EffectsSeen(proposed=172, waiting_for_approval=72, applied=99, verified=98, denied=2),
    )  # fmt: skip


def drawn(width: int, height: int) -> list[str]:
    story = Story()
    story.tell(event("issue.opened", {"title": "The oven 🥐 is cold [red]and no markup[/red]"}))
    line = story.tell(event("issue.done", {"key": KEY, "reason": "it is warm again"}))
    assert line is not None
    screen = DemoScreen("Harbour Lane Bakeries", story)
    screen.look(pulse(), 12.3)
    screen.add([line] * 40)
    console = Console(width=width, height=height)
    options = console.options.update(height=height)
    lines = console.render_lines(screen, options)
    return ["".join(segment.text for segment in line) for line in lines]


@pytest.mark.parametrize(("width", "height"), [(100, 30), (80, 24), (160, 50)])
def test_the_screen_fits_the_terminal(width, height):
    story = Story()
    screen = DemoScreen("Harbour Lane Bakeries", story)
    screen.look(pulse(), 12.3)
    console = Console(width=width, height=height)

    lines = console.render_lines(screen, console.options.update(height=height), pad=False)

    assert len(lines) <= height
    assert all(sum(segment.cell_length for segment in line) <= width for line in lines)


def test_the_screen_tells_what_happens():
    shown = "\n".join(drawn(100, 30))

    for told in (
        "Harbour Lane Bakeries",
        "9 of 14 tasks",
        "11 records refused",
        "in time 1",
        "late 2",
        "#7",
        "warm again",
    ):
        assert told in shown
    assert "[red]" in shown


def test_a_narrow_screen_still_tells_one_agent_from_another():
    shown = "\n".join(drawn(80, 24))

    assert "Agent number 8" in shown
    assert "in time 1  late 2  running 3" in shown


def test_the_screen_can_be_drawn_before_there_is_anything():
    console = Console(width=100, height=30)

    assert console.render_lines(DemoScreen("Harbour Lane Bakeries", Story()), console.options.update(height=30))


UNTOLD = {"issue.started", "issue.released"}


def test_every_event_of_the_pack_is_told_or_left_out_on_purpose():
    samples = {
        "key": KEY, "department": "support", "operation": None, "confidence": 0.5, "source": "title", "evidence": ["a"],
        "priority": "P1", "duplicate_of": KEY, "reason": "because", "decision": "proceed", "reasons": ["x"],
        "status": "done", "summary": "s", "passed": [], "failed": [], "before": "P2", "after": "P1", "kind": "gap",
        "detail": "d", "agent": "a",
    }  # fmt: skip

    told = {one.name for one in EVENT_TYPES if Story().tell(event(one.name, samples)) is not None}

    assert told == {one.name for one in EVENT_TYPES} - UNTOLD


def test_one_issue_of_each_sort_is_remembered():
    story = Story()
    story.tell(event("issue.opened", {"title": "Hello"}))
    classified = {"department": "support", "confidence": 1, "source": "label", "priority": "P2", "set_aside": 1}
    story.tell(event("issue.classified", classified))
    story.tell(event("issue.classified", classified, key="harbour-lane/operations#8"))

    assert [one.key for one in story.highlights()] == [KEY]
    assert story.title(KEY) == "Hello"


@pytest.mark.parametrize("width", [80, 100])
def test_the_screen_tells_of_effects_each_count_for_itself(width: int):
    lines = "\n".join(drawn(width, 30))
    assert "effects: 172 proposed  72 wait for approval  99 applied  98 verified  2 denied" in lines


def moved(what: str, **payload: object) -> Event:
    effect = {"effect_id": "e", "task_id": "t", "tool": "github.comment", "effect_class": "external"}
    document = {**effect, "target": f"issue:{KEY}", "state": what, "reason": "", **payload}
    return event(f"effect.{what}", document, key="e")


def test_a_refusal_is_told_of_its_issue_with_its_rule():
    story = Story()
    line = story.tell(moved("declined", reason="ceiling/orders-to-agents: it gives orders"))
    assert line is not None
    assert (line.subject, line.key, line.verb, line.tone) == ("7", KEY, "refused", "alarm")
    assert "ceiling/orders-to-agents" in line.text
    assert [(one.key, "orders-to-agents" in one.why) for one in story.highlights()] == [(KEY, True)]


def test_what_waits_for_a_person_is_told_apart_from_what_is_allowed():
    story = Story()
    waits, allowed = story.tell(moved("proposed", state="waiting")), story.tell(moved("proposed", state="proposed"))
    assert waits is not None
    assert allowed is not None
    assert (waits.verb, allowed.verb) == ("asks", "may")
