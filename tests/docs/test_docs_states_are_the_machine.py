"""The state tables of the documentation are those that the machine gives when it is asked."""

from docs_pages import marked
from docs_renew import renewed

from bailiwick.run import Status


def test_the_state_tables_are_made_by_the_machine() -> None:
    assert marked("docs/concepts.md", "state-table") == renewed("state-table"), (
        "renew it: python tests/docs/docs_renew.py"
    )


def test_every_state_of_a_run_is_in_the_table() -> None:
    for status in Status:
        assert f"| {status} |" in marked("docs/concepts.md", "state-table")
