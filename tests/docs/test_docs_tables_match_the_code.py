"""Tables of the documentation say what the code says: settings, commands, routes, exit codes, policies, paths, metrics."""

import json
import re
import urllib.request
from typing import Any

import msgspec
from docs_pages import ROOT, marked, prose, read, rows
from docs_refusals import all_refusals, status
from docs_renew import renewed

from bailiwick.cli.exits import ExitCode
from bailiwick.cli.lazy import COMMANDS, load_command
from bailiwick.contract import Contract, ErrorCategory
from bailiwick.plan import builtin_rules
from bailiwick.policy import Permission, Role, default_files, path_classes
from bailiwick.policy.identity import PERMISSIONS
from bailiwick.wiring import Settings


def code_in(cell: str) -> list[str]:
    """List what stands in backticks."""
    return re.findall(r"`([^`\n]+)`", cell)


def fetch(served: dict[str, str], path: str) -> str:
    """Ask the served system."""
    with urllib.request.urlopen(f"{served['BAILIWICK_URL']}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def test_the_settings_table_is_the_settings() -> None:
    told = {
        cells[0].strip("`"): cells[2].strip("`") for cells in rows(marked("docs/operations.md", "settings"))
    }
    fields = msgspec.structs.fields(Settings)
    assert told == {field.name: str(getattr(Settings(), field.name)) for field in fields}


def test_the_command_table_lists_every_command() -> None:
    told = []
    for cells in rows(marked("docs/cli.md", "commands")):
        words = code_in(cells[0])[0].split()
        told.append(" ".join(word for word in words if word.islower() and not word.startswith(("[", "-"))))
    real = []
    for name in COMMANDS:
        command: Any = load_command(name)
        inner = getattr(command, "commands", None)
        real += [f"{name} {below}" for below in inner] if inner else [name]
    assert sorted(told) == sorted(real)


def test_the_exit_codes_are_the_exit_codes() -> None:
    told = [int(cells[0]) for cells in rows(marked("docs/cli.md", "exit-codes"))]
    assert told == [code.value for code in ExitCode]


def test_routes_and_metrics_are_those_of_a_server(served: dict[str, str]) -> None:
    paths = json.loads(fetch(served, "/openapi.json"))["paths"]
    real = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    told = [route for cells in rows(marked("docs/api.md", "routes")) for route in code_in(cells[0])]
    assert sorted(told) == sorted({*real, "GET /openapi.json"})
    counted = fetch(served, "/metrics")
    named = re.findall(r"`(bailiwick_[a-z_]+)`", prose("docs/operations.md"))
    assert len(named) > 10
    for name in named:
        assert f"# HELP {name}" in counted, name


def test_the_default_policies_are_all_explained() -> None:
    bundle = "\n".join(text for name, text in default_files().items() if name.endswith(".cedar"))
    real = re.findall(r'@id\("([^"]+)"\)', bundle)
    told = re.findall(r"`((?:base|delivery|egress|standing)\.[a-z-]+)`", prose("docs/policies.md"))
    assert sorted(told) == sorted(
        set(real) | {"base.cedar", "delivery.cedar", "egress.cedar", "standing.cedar"}
    )


def test_the_example_paths_are_of_the_class_that_is_told() -> None:
    section = prose("docs/policies.md").partition("## Path classes")[2].partition("\n\n| ")[2]
    for cells in rows("| " + section.partition("\n\n")[0]):
        for example in code_in(cells[1]):
            if example not in ("..", "prod"):
                path = example.replace("…", "file").replace("*", "name")
                assert cells[0].strip("`") in path_classes([path]), path


def test_the_rules_that_are_told_are_the_built_in_ones() -> None:
    page = prose("docs/workflows.md")
    for phrase in builtin_rules().phrases:
        assert phrase in page
        assert f"`{builtin_rules().select(phrase).ref}`" in page


def test_the_contract_table_has_every_field() -> None:
    section = read("docs/concepts.md").partition("## Contracts")[2].partition("Error categories")[0].strip()
    told = [name for cells in rows(section) for name in code_in(cells[0])]
    real = [field.name for field in msgspec.structs.fields(Contract) if field.name != "code"]
    assert sorted(told) == sorted(real)
    listed = read("docs/concepts.md").partition("Error categories:")[2].partition(".")[0]
    assert code_in(listed) == [category.value for category in ErrorCategory]


def test_what_policies_see_is_the_table_of_the_code() -> None:
    assert marked("docs/concepts.md", "attributes") == renewed("attributes")


def test_roles_may_do_what_the_page_says() -> None:
    assert PERMISSIONS[Role.APPROVER] & {Permission.RUNS_SUBMIT, Permission.HALTS_SET} == set()
    assert Permission.HALTS_LIFT not in PERMISSIONS[Role.OPERATOR]
    assert set(PERMISSIONS[Role.ADMIN]) == set(Permission)


def test_the_refusal_codes_of_workflows_are_all_listed() -> None:
    plan = ROOT / "src/bailiwick/plan"
    compiler = "\n".join(
        (plan / name).read_text()
        for name in ("checks.py", "reach.py", "resolution.py", "compiler.py", "reader.py", "source.py")
    )
    raised = re.findall(r'(?:Finding\(\s*|note\(\s*)"([a-z_]+)"', compiler)
    told = code_in(prose("docs/workflows.md").partition("## What the compiler refuses")[2])
    assert set(raised) <= set(told), set(raised) - set(told)


def test_docs_list_every_refusal_with_what_helps() -> None:
    """Rule: one code means one thing; who sees it finds it in the page."""
    assert marked("docs/refusals.md", "refusals") == renewed("refusals"), (
        "renew it: python tests/docs/docs_renew.py"
    )
    kinds: dict[str, set[str]] = {}
    for kind in all_refusals():
        kinds.setdefault(kind.code, set()).add(status(kind))
    assert len(kinds) > 120
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}, "one code has one status"
