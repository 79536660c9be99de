"""Links between pages lead somewhere, and every page can be reached."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks, name_of, pages, without_blocks

_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links(page: Path) -> list[str]:
    return _LINK.findall(without_blocks(page))


def anchors(page: Path) -> set[str]:
    titles = _HEADING.findall(without_blocks(page))
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-")
            for title in titles}  # fmt: skip


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_can_be_reached_from_the_first() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [(page.parent / link.split("#")[0]).resolve() for link in links(page) if not link.startswith("http")]
        ahead += [target for target in targets if target.suffix == ".md" and target.exists()]
    assert {name_of(page) for page in pages()} - {name_of(page) for page in seen if page.is_relative_to(ROOT)} == set()


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "pictures").iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_loads_nothing(picture: Path) -> None:
    assert picture.stat().st_size < 150_000
    assert "@import" not in picture.read_text(encoding="utf-8")
    assert "url(http" not in picture.read_text(encoding="utf-8")


def test_a_block_that_is_not_run_says_why() -> None:
    assert all(len(block.not_run) > 5 for page in pages() for block in blocks(page) if block.not_run is not None)
