from datetime import UTC, datetime
from typing import Any

from bailiwick.installation.tracing import TracedEvent, TracedStep, TracedTask, narrowed

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def event(name: str, key: str | None, *following: TracedEvent | TracedTask) -> TracedEvent:
    return TracedEvent(name, "sla.breached", key, {}, NOW, NOW, list(following))


def task(name: str, *following: TracedEvent | TracedTask, payload: Any = None, steps: Any = ()) -> TracedTask:
    return TracedTask(
        name, "sla.sweep", "completed", 2, payload or {}, None, None, None, None, [], None, NOW, NOW, NOW,
        [TracedStep(seq, "step", step, result, 1.0, NOW) for seq, (step, result) in enumerate(steps)], list(following),
    )  # fmt: skip


def sweep() -> TracedTask:
    return task(
        "sweep",
        event("late 7", "shop#7", task("of 7", event("about the original", "shop#3"))),
        event("late 70", "shop#70"),
        task("plan 7", payload={"issue_key": "shop#7"}),
        task("plan 70", payload={"issue_key": "shop#70"}),
        steps=[
            ("look", [{"key": "shop#7"}, {"key": "shop#70"}]),
            ("breach shop#7", None),
            ("breach shop#70", None),
            ("sla.breached", "late 7"),
            ("sla.breached", "late 70"),
        ],
    )


def test_of_a_task_about_many_keys_only_what_is_about_one_is_kept():
    (found,) = narrowed([sweep()], "shop#7")

    assert isinstance(found, TracedTask)
    assert [one.id for one in found.followed_by] == ["late 7", "plan 7"]
    assert [(step.name, step.result) for step in found.steps] == [
        ("look", [{"key": "shop#7"}]), ("breach shop#7", None), ("sla.breached", "late 7"),
    ]  # fmt: skip


def test_what_followed_from_something_about_the_key_stays_whole():
    (found,) = narrowed([sweep()], "shop#7")

    assert found.followed_by[0].followed_by[0].followed_by[0].id == "about the original"


def test_a_tree_without_the_key_goes_and_what_was_asked_for_stays():
    assert narrowed([sweep()], "shop#8") == []
    (found,) = narrowed([sweep()], "shop#8", "plan 70")
    assert [one.id for one in found.followed_by] == ["plan 70"]
