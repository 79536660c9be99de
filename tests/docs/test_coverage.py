"""The pages know everything that a person can set, call, meet or watch, and nothing that is not there."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from bailiwick.cli.app import COMMANDS, load
from bailiwick.installation import Settings
from devtools.make_reference import Regions, out_of_date, regions
from devtools.reference.catalogue import error_classes, variable_of
from devtools.reference.doors import command_tree
from devtools.reference.markdown import names
from tests.docs.blocks import ROOT, blocks, name_of, pages
from tests.docs.conftest import Platform

_TARGET = re.compile(r"^([a-z]+):.*## ", re.MULTILINE)
_VARIABLE = re.compile(r"\bBAILIWICK_[A-Z_]+\b")
_SPOKEN = re.compile(r"`((?:bailiwick|make) [^`\n]+)`")


@pytest.fixture(scope="module")
def known(platform: Platform) -> Regions:
    return asyncio.run(regions(platform.data_dir))


def test_generated_parts_are_up_to_date(known: Regions) -> None:
    stale = [name_of(page) for page in out_of_date(known)]
    assert not stale, f"run `python -m devtools.make_reference`; out of date: {', '.join(stale)}"


def test_everything_that_is_generated_is_on_a_page(known: Regions) -> None:
    shown = {name for page in pages() for name in names(page.read_text(encoding="utf-8"))}
    assert shown == set(known)


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_a_setting_is_documented(setting: str) -> None:
    assert Settings.model_fields[setting].description
    assert f"`{variable_of(setting)}`" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_error_code_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert [error.code for error in error_classes() if f"`{error.code}`" not in page] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_documented(command: str) -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for path, one in command_tree(command, load(command)):
        assert f"`bailiwick {path}" in page
        assert (one.help or "").strip(), f"bailiwick {path} says nothing about itself"


def test_no_page_names_a_variable_that_does_not_exist() -> None:
    real = {variable_of(name) for name in Settings.model_fields}
    real |= {"BAILIWICK_POSTGRES_BIN", "BAILIWICK_REAL_DATA_DIR"}
    named = {f"{name_of(page)}: {found}" for page in pages()
             for found in _VARIABLE.findall(page.read_text(encoding="utf-8")) if found not in real}  # fmt: skip
    assert not named


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_on_a_page_exists(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    lines = [*_SPOKEN.findall(text), *_typed(page)]
    wrong = [f"{line}: {fault}" for line in lines if (fault := _fault(line))]
    assert not wrong


def _typed(page: Any) -> Iterator[str]:
    for block in blocks(page):
        if block.language in ("console", "sh"):
            for line in block.text.splitlines():
                said = line.removeprefix("$ ").split("  #")[0].strip().replace(".venv/bin/", "")
                if said.startswith(("bailiwick ", "make ")):
                    yield said


def _fault(line: str) -> str | None:
    words = shlex.split(line.replace("…", ""), comments=True)
    if words[0] == "make":
        targets = _TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
        return None if words[1] in targets else f"no target {words[1]}"
    words = [word for word in words[1:] if word not in ("--debug", "--help")]
    if not words or words[0].isupper() or words[0] == "--version":
        return None
    if words[0] not in COMMANDS:
        return f"no command {words[0]}"
    command = _loaded(words[0])
    for position, word in enumerate(words[1:], 1):
        below = getattr(command, "commands", None)
        # Some groups do something by themselves and have options of their own.
        if below is None or (word.startswith("-") and command.invoke_without_command):
            return _wrong_option(command, words[position:])
        if word not in below:
            return None if word.isupper() else f"no command {word}"
        command = below[word]
    return None


@cache
def _loaded(name: str) -> Any:
    return load(name)


def _wrong_option(command: Any, words: list[str]) -> str | None:
    options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    wrong = [word for word in words if word.startswith("--") and word.split("=")[0] not in options]
    return f"no option {wrong[0]}" if wrong else None
