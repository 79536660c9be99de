"""Stepping through a story on a terminal, and reports of replays for CI."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
import typer

from bailiwick.cli.stepping import step_through
from bailiwick.replay.junit import junit_report
from bailiwick.replay.replaying import Replayed


@pytest.mark.parametrize(
    ("answers", "shown"),
    [
        (["", "", ""], "abc"),
        (["", "b", "", "q"], "abab"),
        (["3", ""], "ac"),
        (["l"], "abc"),
        (["what?", "", "q"], "aab"),
        (["9", "b", "q"], "aaa"),
        (["q"], "a"),
    ],
)
def test_steps_are_shown_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch, answers: list[str], shown: str) -> None:
    asked: Iterator[str] = iter(answers)

    def prompt(*_: object, **__: object) -> str:
        return next(asked)

    monkeypatch.setattr(typer, "prompt", prompt)
    seen: list[str] = []
    step_through("abc", "a heading", lambda thing, number, count: seen.append(f"{thing}{number}{count}"))
    assert "".join(one[0] for one in seen) == shown
    assert all(one[2] == "3" for one in seen)
    assert next(asked, None) is None


def test_a_junit_report_tells_failures_from_what_could_not_be_judged() -> None:
    found = [
        ("a.run.zip", "x", Replayed("same", 1, "as recorded")),
        ("b.run.zip", "x", Replayed("diverged", 0, "step 0: \x00 other", 0, {"a": 1}, "now <b>")),
        ("c.run.zip", "x", Replayed("undetermined", 0, "cannot determine: the code missing")),
    ]
    suite = ET.fromstring(junit_report(found))  # noqa: S314 - our own report
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"]]
    assert "now <b>" in (suite[1][0].text or "")
