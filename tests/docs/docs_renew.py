"""Renews what the documentation generates from the code: `python tests/docs/docs_renew.py`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from docs_pages import ROOT, marked

from bailiwick.policy import attribute_table
from bailiwick.run.table import state_table

PAGE = "docs/concepts.md"
SECTIONS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"state-table": state_table, "attributes": attribute_table}
)


def renewed(section: str) -> str:
    """Make a section as it should stand in the page."""
    return f"\n{SECTIONS[section]()}\n"


def main() -> None:
    """Write all of them there."""
    path = ROOT / PAGE
    for section in SECTIONS:
        begin = f"<!-- {section}: begin -->\n"
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace(begin + marked(PAGE, section), begin + renewed(section)), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
