"""The pages of the documentation, cut into their blocks, headings and links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").rglob("*.md"),
    )
)
TOLD = [page for page in PAGES if page not in ("CONTRIBUTING.md", "CHANGELOG.md")]
"""What a user reads: its commands are run. Those of a contributor need a clone of their own, and run there."""
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, what else its first line says, and its text."""

    page: str
    language: str
    mark: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block is, or is written to; empty for most."""
        return self.mark.removeprefix("file=") if self.mark.startswith("file=") else ""


def read(page: str) -> str:
    """Read a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """List a page's blocks in order."""
    found = []
    for match in _BLOCK.finditer(read(page)):
        language, _, mark = match[1].partition(" ")
        found.append(Block(page, language, mark, match[2]))
    return found


def links(page: str) -> list[str]:
    """List where a page's links lead, those in code aside."""
    return [match[1] for match in _LINK.finditer(prose(page))]


def prose(page: str) -> str:
    """Read a page without its blocks."""
    return _BLOCK.sub("", read(page))


def anchors(page: str) -> list[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(page)))
    return [title.replace(" ", "-") for title in plain]


def marked(page: str, name: str) -> str:
    """Read what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    text = read(page)
    assert text.count(begin) == text.count(end) == 1, f"{page} has no section {name!r}"
    return text.partition(begin)[2].partition(end)[0]


def rows(table: str) -> Iterator[list[str]]:
    """List the rows of a table in Markdown, without its head, each as its cells."""
    for line in table.strip().splitlines()[2:]:
        yield [cell.strip() for cell in line.strip().strip("|").split("|")]
