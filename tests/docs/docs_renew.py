"""Renews what the documentation generates from the code: `python tests/docs/docs_renew.py`."""

from docs_pages import ROOT, marked

from bailiwick.run.table import state_table

PAGE = "docs/concepts.md"
SECTION = "state-table"


def renewed() -> str:
    """Make the section as it should stand in the page."""
    return f"\n{state_table()}\n"


def main() -> None:
    """Write it there."""
    path = ROOT / PAGE
    begin = f"<!-- {SECTION}: begin -->\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(begin + marked(PAGE, SECTION), begin + renewed()), encoding="utf-8")


if __name__ == "__main__":
    main()
