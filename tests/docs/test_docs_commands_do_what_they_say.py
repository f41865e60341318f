"""Every command of the documentation is run, and prints what the page says."""

from pathlib import Path

import pytest
from docs_pages import TOLD, blocks
from docs_shell import NO_RUN, commands, matches, run_page

NOT_RUN = {
    "./dev demo": "sets up a working copy and shows the demo, which has tests of its own",
    "./dev bench --gate": "counts for minutes, under valgrind; the counting has tests of its own",
    "./dev sim": "simulates in a working copy, and has tests of its own",
    "bailiwick up": "stays up; these tests start it",
    "bailiwick server start": "stays up",
    "export BAILIWICK_STORE": "needs a PostgreSQL and two machines; tests start such processes themselves",
    "bailiwick audit accept-break": "needs a stopped server whose log was changed; it has tests of its own",
    "bailiwick audit replace-lost-key": "needs a stopped server that has lost a key; it has tests of its own",
    "bailiwick db": "needs a PostgreSQL of that name; the commands have tests of their own",
    "OPENAI_API_KEY=...": "needs a key and a network",
}
SERVED = ("docs/quickstart.md", "docs/cli.md", "docs/api.md", "docs/security.md", "docs/reliability.md")
"""Pages that begin with a served application; each gets one of its own."""
_RUN = [page for page in TOLD if any(commands(block) for block in blocks(page))]


@pytest.mark.parametrize("page", _RUN)
def test_the_commands_of_a_page_do_what_it_says(page: str, request: pytest.FixtureRequest) -> None:
    environment = request.getfixturevalue("served" if page in SERVED else "reader")
    assert run_page(page, Path(environment["HOME"]), environment) == []


def test_the_examples_of_the_api_run_where_there_is_no_curl(served: dict[str, str]) -> None:
    stand_in = Path(served["HOME"], "bin")
    environment = {**served, "PATH": f"{stand_in}:{served['PATH']}"}
    assert run_page("docs/api.md", Path(served["HOME"]), environment) == []


def test_a_command_that_is_not_run_has_a_reason() -> None:
    left_out = [
        block.text
        for page in TOLD
        for block in blocks(page)
        if block.language == "sh" and block.mark == NO_RUN
    ]
    for text in left_out:
        assert any(text.startswith(beginning) for beginning in NOT_RUN), text
    for beginning in NOT_RUN:
        assert any(text.startswith(beginning) for text in left_out), f"{beginning} is not in any page"


def test_no_block_escapes_these_tests() -> None:
    known = {"sh", "console", "python", "json", "toml", "text", ""}
    for page in TOLD:
        for block in blocks(page):
            assert block.language in known, (page, block)
            assert block.mark in ("", NO_RUN) or block.file, (page, block)


def test_what_a_page_expects_is_compared() -> None:
    assert matches("one…three\n", "one two\nthree")
    assert not matches("one…three", "one two")
    assert not matches("one", "one\ntwo")
