"""Stepping through something on a terminal: forwards, backwards, to a place."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

from bailiwick.cli.output import note, screen

Thing = TypeVar("Thing")

_HELP = "Enter: on · b: back · a number: there · l: list the rest · q: quit"


def step_through(things: Sequence[Thing], heading: str, show: Callable[[Thing, int, int], None]) -> None:
    """Show one thing after another as a person asks for it; ends behind the last, or at their word."""
    screen().print(heading)
    note(_HELP)
    place = 0
    while 0 <= place < len(things):
        show(things[place], place, len(things))
        answer = typer.prompt("", default="", show_default=False, prompt_suffix="> ").strip().lower()
        if answer == "q":
            return
        if answer == "l":
            for number in range(place + 1, len(things)):
                show(things[number], number, len(things))
            return
        if answer == "":
            place += 1
        elif answer == "b":
            place = max(0, place - 1)
        elif answer.isdigit() and 1 <= int(answer) <= len(things):
            place = int(answer) - 1
        else:
            note(_HELP)
