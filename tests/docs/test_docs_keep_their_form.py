"""The documentation keeps its form: links resolve, nothing points to a line or a machine, the README stays short."""

import re
from pathlib import Path

import pytest
from docs_pages import PAGES, ROOT, TOLD, anchors, links, prose, read

_ELSEWHERE = re.compile(r"https?://")
_LINE_NUMBER = re.compile(r"\b[\w/]+\.(?:py|sql|md|toml|cedar):\d+|\blines? \d+")
_MACHINE = re.compile(r"(?<![\w.])/(?:root|home|work|Users)/")
_SOURCE = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|sql))`")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in links(page):
        if _ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), link


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_line_or_a_machine(page: str) -> None:
    assert _LINE_NUMBER.findall(prose(page)) == []
    assert _MACHINE.findall(read(page)) == []


@pytest.mark.parametrize("page", TOLD)
def test_every_source_file_that_is_named_exists(page: str) -> None:
    for name in _SOURCE.findall(prose(page)):
        found = [ROOT / "src/bailiwick" / name, ROOT / name]
        assert any(path.is_file() for path in found), name


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 150


def test_every_decision_is_listed_and_has_its_parts() -> None:
    folder = ROOT / "docs/decisions"
    records = sorted(path.name for path in folder.glob("0*.md"))
    assert sorted(set(links("docs/decisions/README.md"))) == records
    assert [name[:4] for name in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for name in records:
        text = Path(folder, name).read_text()
        assert text.startswith(f"# {name[:4]}: ")
        for part in ("Context", "Decision", "Consequence", "Measured"):
            assert f"**{part}.**" in text, (name, part)


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = ["README.md"]
    for page in reached:
        for link in links(page):
            target = ((ROOT / page).parent / link.partition("#")[0]).resolve()
            known = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
            if known in PAGES and known not in reached:
                reached.append(known)
    assert sorted(reached) == PAGES
