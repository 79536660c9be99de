"""What the pages show works: console blocks, Python blocks, computed examples."""

import doctest
import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import Block, Command, blocks, commands, name_of, pages
from tests.docs.conftest import Platform
from tests.docs.terminal import Session

EXAMPLES = [page for page in pages() if any(block.language in ("console", "python") for block in blocks(page))]
COMPUTED = [page for page in pages() if any(block.language == "pycon" for block in blocks(page))]


@pytest.mark.parametrize("page", EXAMPLES, ids=name_of)
def test_the_examples_of_a_page_work(page: Path, platform: Platform, tmp_path: Path) -> None:
    session = Session(platform, tmp_path)
    ran = 0
    for block in blocks(page):
        if block.not_run is None:
            ran += _try(block, session)
    if not ran:
        reasons = "; ".join(sorted({block.not_run for block in blocks(page) if block.not_run}))
        pytest.skip(f"nothing on this page can run here: {reasons}")


@pytest.mark.parametrize("page", COMPUTED, ids=name_of)
def test_the_computed_examples_of_a_page_are_right(page: Path) -> None:
    failed, tried = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert tried
    assert not failed


def test_every_example_has_a_language_we_know() -> None:
    known = {"", "console", "csv", "json", "mermaid", "pycon", "python", "sh", "sql", "toml", "yaml"}
    unknown = {f"{name_of(page)}:{block.line} {block.language}" for page in pages() for block in blocks(page)
               if block.language not in known}  # fmt: skip
    assert not unknown


def _try(block: Block, session: Session) -> int:
    if block.file is not None:
        (session.folder / block.file).write_text(block.text, encoding="utf-8")
        return 0
    if block.language == "python":
        (session.folder / "example.py").write_text(block.text, encoding="utf-8")
        _check(block, [Command("python example.py", "")], session)
        return 1
    if block.language == "console":
        _check(block, commands(block), session)
        return 1
    return 0


def _check(block: Block, shown: list[Command], session: Session) -> None:
    for command in shown:
        if command.line.startswith("curl ") and shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        status, output = session.run(command.line)
        where = f"{name_of(block.page)}:{block.line}: $ {command.line}\n{output}"
        assert status == 0, where
        plain = "\n".join(line.rstrip() for line in output.strip().split("\n"))
        if command.expected.strip():
            assert command.pattern.fullmatch(plain), f"{where}\n--- the page says:\n{command.expected}"
