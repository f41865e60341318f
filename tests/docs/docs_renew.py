"""Renews what the documentation generates from the code: `python tests/docs/docs_renew.py`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from docs_pages import ROOT, marked
from docs_refusals import refusal_table

from bailiwick.policy import attribute_table
from bailiwick.run.table import state_table

PAGES: Mapping[str, str] = MappingProxyType(
    {"state-table": "docs/concepts.md", "attributes": "docs/concepts.md", "refusals": "docs/refusals.md"}
)
SECTIONS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"state-table": state_table, "attributes": attribute_table, "refusals": refusal_table}
)


def renewed(section: str) -> str:
    """Make a section as it should stand in the page."""
    return f"\n{SECTIONS[section]()}\n"


def main() -> None:
    """Write all of them there."""
    for section, page in PAGES.items():
        path = ROOT / page
        begin = f"<!-- {section}: begin -->\n"
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace(begin + marked(page, section), begin + renewed(section)), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
