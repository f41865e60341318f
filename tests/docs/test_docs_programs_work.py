"""The programs and files of the documentation are the real ones, or run as they stand."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from docs_pages import PAGES, ROOT, blocks

from bailiwick.base import parse_strict
from bailiwick.contract import Contract, EffectClass, Kind
from bailiwick.plan import builtin_rules, compile_workflow, parse_workflow
from bailiwick.policy import build_bundle, stacked
from bailiwick.tools import function_tool
from bailiwick.wiring import Settings
from bailiwick.wiring.compiler import run_policy_compiler


def program(page: str) -> dict[str, Any]:
    """Run all of a page's Python as one program, and give its names."""
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "python" and not block.file:
            exec(compile(block.text, f"<{page}>", "exec"), names)
    return names


@pytest.mark.parametrize("page", PAGES)
def test_a_program_that_names_its_file_is_that_file(page: str) -> None:
    for block in blocks(page):
        if block.language == "python" and block.file:
            assert block.text == (ROOT / block.file).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_json_and_settings_of_a_page_are_well_formed(page: str) -> None:
    for block in blocks(page):
        if block.language == "json":
            assert parse_strict(block.text.encode())
        if block.language == "toml":
            assert msgspec.convert(tomllib.loads(block.text), Settings, strict=False)


def test_the_readme_shows_the_quickstart_program_whole() -> None:
    shown = [block.file for block in blocks("README.md") if block.language == "python"]
    assert shown == ["examples/quickstart.py"]


def test_the_workflow_page_is_one_application_that_compiles() -> None:
    page = "docs/workflows.md"
    names = program(page)
    app = names["app"]
    workflow = next(block.text for block in blocks(page) if block.file == "release-note.json")
    catalogue: dict[str, dict[str, Contract]] = {}
    for tool in app.tools:
        made = function_tool(
            tool.function, name=tool.name, version=tool.version, effect=tool.effect, **tool.options
        )
        catalogue.setdefault(tool.name, {})[tool.version] = made.contract
    reads = {"type": "object"}
    files = Contract(
        name="files.read",
        version="1.0.0",
        kind=Kind.TOOL,
        effect=EffectClass.READ_ONLY,
        input=reads,
        output=reads,
    )
    catalogue["files.read"] = {"1.0.0": files}
    for agent in app.agents.values():
        catalogue[agent.contract.name] = {agent.contract.version: agent.contract}
    plan = compile_workflow(parse_workflow(parse_strict(workflow.encode())), catalogue, builtin_rules())
    assert [node.id for node in plan.nodes] == ["draft", "write", "read", "publish"]


def test_the_policies_of_the_policy_page_are_accepted_and_decide() -> None:
    own = program("docs/policies.md")["app"].policies
    bundle = build_bundle(stacked(own), run_policy_compiler)
    held = bundle.rules["notes.publish-approved"].hold
    assert held is not None
    assert held.group == "editors"
    assert held.ttl_seconds == 2 * 3600


def test_the_quickstart_program_stays_small() -> None:
    lines = Path(ROOT, "examples/quickstart.py").read_text().splitlines()
    assert len(lines) < 60
