"""Architect rules really check what their constraint says, also against code that tries to get round them."""

import pytest

from bailiwick.plan import (
    Brief,
    Finding,
    Rule,
    RuleBook,
    RuleConflict,
    Subject,
    SubjectKind,
    UnknownConstraint,
    UnknownRule,
    builtin_rules,
)

BEFORE = {
    "service/__init__.py": b"",
    "service/app.py": b"import yaml\nfrom fastapi import FastAPI\n\ndef old(x):\n    return x\n",
    "tests/test_app.py": b"import pytest\n",
    "pyproject.toml": b'[project]\ndependencies = ["fastapi>=0.1", "Rich_Text"]\n',
    "requirements.txt": b"httpx==1.0  # client\n",
}


def findings(
    constraint: str, changes: dict[str, bytes | None], before: dict[str, bytes] = BEFORE
) -> list[Finding]:
    after = {path: body for path, body in {**before, **changes}.items() if body is not None}
    subject = Subject(files_before=before, files_after=after)
    ref = builtin_rules().select(constraint).ref
    results = builtin_rules().check([constraint], [ref], subject, SubjectKind.TREE)
    assert [(result.rule, result.constraint) for result in results] == [(ref, constraint)]
    return list(results[0].findings)


def codes(constraint: str, changes: dict[str, bytes | None]) -> list[tuple[str, str]]:
    return [(item.code, item.pointer) for item in findings(constraint, changes)]


# --- single file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"service/app.py": b"x = 1\n"},
        {"service/app.py": b"x = 1\n", "tests/test_app.py": b"y = 1\n", "tests/data/a.json": b"{}"},
        {"service/new.py": b"x = 1\n", "service/test_new.py": b"y = 1\n"},
        {"service/app.py": None},
    ],
    ids=["nothing", "one", "one and its tests", "one new and a test beside it", "one removed"],
)
def test_one_file_and_its_tests_are_a_single_file(changes: dict[str, bytes | None]) -> None:
    assert codes("Single file only", changes) == []


@pytest.mark.parametrize(
    "other",
    [
        "README.md",
        "service/tests/helper.py",
        "service/contest.py",
        "attests/x.py",
        "testing/x.py",
        ".github/ci.yml",
    ],
)
def test_a_second_file_of_any_sort_is_one_too_many(other: str) -> None:
    found = codes("Single file only", {"service/app.py": b"x = 1\n", other: b"y\n"})
    assert found == sorted([("too_many_files", "service/app.py"), ("too_many_files", other)])


def test_a_rename_changes_two_files() -> None:
    assert (
        len(codes("single  FILE only", {"service/app.py": None, "service/main.py": BEFORE["service/app.py"]}))
        == 2
    )


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        ("tests/helper.py", b"from tests.helper import work\n"),
        ("tests/helper.py", b"from tests import helper\n"),
        ("tests/helper.py", b"def f():\n    import helper\n"),
        ("service/test_work.py", b"from . import test_work\n"),
        ("service/test_work.py", b"from service.test_work import work\n"),
        ("service/test_work.py", b"import importlib\nimportlib.import_module('service.test_work')\n"),
    ],
)
def test_code_does_not_hide_in_a_test_file(hidden: str, code: bytes) -> None:
    found = codes("Single file only", {"service/app.py": code, hidden: b"def work(): ...\n"})
    assert {item[0] for item in found} == {"code_in_tests"}


# --- no external dependencies ---------------------------------------------------------------------

NONE = "No external dependencies"


@pytest.mark.parametrize(
    "code",
    [
        b"import os.path as x, json\nfrom collections import abc\n",
        b"from . import app\nfrom .app import old\nfrom .. import anything\n",
        b"import service.app\n",
        b"import yaml, fastapi.responses\nimport httpx, rich_text\nimport pytest\n",
        b"import importlib\nm = importlib.import_module('json')\nn = __import__('os')\n",
        b"from importlib.metadata import version\nimport importlib.resources as r\nr.files('service')\n",
        b"import importlib\nimportlib.metadata.version('x')\n",
        b"import re\nre.compile('x')\nmodel.eval()\n",
        b"",
    ],
)
def test_what_was_there_before_may_be_used(code: bytes) -> None:
    assert codes(NONE, {"service/new.py": code}) == []


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (b"import requests\n", 1),
        (b"import os, requests.adapters as os2\n", 1),
        (b"from requests import get\n", 1),
        (b"def f():\n    import requests\n", 2),
        (b"try:\n    import requests\nexcept ImportError:\n    requests = None\n", 2),
        (b"if False:\n    from requests import *\n", 2),
        (b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests\n", 3),
        (b"class A:\n    async def f(self):\n        from requests.api import get\n", 3),
        (b"__import__('requests')\n", 1),
        (b"import importlib\nimportlib.import_module('requests.api')\n", 2),
        (b"import importlib as i\ni.import_module('requests')\n", 2),
        (b"from importlib import import_module as load\nload('requests', None)\n", 2),
        (b"import builtins\nbuiltins.__import__('requests')\n", 2),
        (b"# -*- coding: latin-1 -*-\nimport requests # \xe9\n", 2),
        (b"x = 1;import requests\n", 1),
    ],
)
def test_a_new_module_is_found_wherever_it_is_imported(code: bytes, line: int) -> None:
    assert ("external_import", f"service/new.py:{line}") in codes(NONE, {"service/new.py": code})


@pytest.mark.parametrize(
    "code",
    [
        b"__import__('req' + 'uests')\n",
        b"__import__(name)\n",
        b"f = __import__\nf('requests')\n",
        b"import importlib\nimportlib.import_module(name)\n",
        b"import importlib\nimportlib.import_module(name='requests')\n",
        b"import importlib\nf = importlib.import_module\n",
        b"import importlib\ngetattr(importlib, 'import_' + 'module')('requests')\n",
        b"import importlib.util\nimportlib.util.find_spec('requests')\n",
        b"from importlib import util as u\nu.module_from_spec(s)\n",
        b"from importlib import *\nimport_module('requests')\n",
        b"exec('import requests')\n",
        b"eval(\"__import__('requests')\")\n",
        b"exec(compile('import requests', 'x', 'exec'))\n",
        b"run = exec\n",
        b"import runpy\nrunpy.run_module('requests')\n",
        b"import builtins as b\ngetattr(b, 'ex' + 'ec')('import requests')\n",
        b"__builtins__['__import__']('requests')\n",
        b"globals()['__builtins__']\n",
        b"import sys\ngetattr(sys.modules['built' + 'ins'], '__import__')('requests')\n",
        b"__loader__.load_module('requests')\n",
    ],
)
def test_an_import_that_cannot_be_followed_is_a_finding(code: bytes) -> None:
    assert "unclear_import" in [code for code, _ in codes(NONE, {"service/new.py": code})]


@pytest.mark.parametrize(
    "code", [b"import (", b"\x00", b"\xff\xfe", b"(" * 5000, b"-" * 200_000 + b"1", b"print 'x'"]
)
def test_a_file_that_does_not_parse_is_a_finding(code: bytes) -> None:
    assert codes(NONE, {"service/new.py": code}) == [("does_not_parse", "service/new.py")]


def test_an_old_import_does_not_become_a_fault_and_a_removed_file_is_none() -> None:
    assert (
        codes(
            NONE, {"service/app.py": BEFORE["service/app.py"] + b"import json\n", "tests/test_app.py": None}
        )
        == []
    )


def test_an_empty_directory_of_the_same_name_does_not_let_a_package_in() -> None:
    changes: dict[str, bytes | None] = {
        "service/new.py": b"import requests\n",
        "requests/data.py": b"x = 1\n",
    }
    assert codes(NONE, changes) == [("external_import", "service/new.py:1")]
    changes = {"service/new.py": b"import requests\n", "service/requests.py": b"x = 1\n"}
    assert codes(NONE, changes) == [("external_import", "service/new.py:1")]


def test_a_new_package_of_the_tree_may_be_imported() -> None:
    changes: dict[str, bytes | None] = {
        "service/new.py": b"import extra.a\n",
        "extra/__init__.py": b"",
        "extra/a.py": b"",
    }
    assert codes(NONE, changes) == []
    assert codes(NONE, {"src/extra/__init__.py": b"", "service/new.py": b"import extra\n"}) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("requirements.txt", b"httpx==1.0\nrequests\n"),
        ("requirements.txt", b"httpx @ https://evil.example/httpx.whl\n"),
        ("requirements.txt", b"httpx @ local.whl\n"),
        ("requirements.txt", b"httpx==1.0\n--index-url https://evil.example\n"),
        ("requirements.txt", b"httpx==1.0\n-r more.txt\n"),
        ("requirements-dev.txt", b"requests\n"),
        ("requirements/base.txt", b"requests\n"),
        ("pyproject.toml", b'[project]\ndependencies = ["fastapi", "requests>=2"]\n'),
        ("pyproject.toml", b'[project.optional-dependencies]\nx = ["requests"]\n'),
        ("pyproject.toml", b'[dependency-groups]\ndev = ["requests"]\n'),
        ("pyproject.toml", b'[build-system]\nrequires = ["requests"]\n'),
        ("pyproject.toml", b'[tool.poetry.dependencies]\nrequests = "*"\n'),
        ("pyproject.toml", b'[tool.poetry.group.dev.dependencies]\nrequests = "*"\n'),
        ("pyproject.toml", b'[tool.uv.sources]\nfastapi = { git = "https://evil.example" }\n'),
        ("uv.lock", b"x"),
        ("setup.py", b"x = 1\n"),
        ("setup.cfg", b"x"),
        ("vendor/requests.whl", b"x"),
        ("service/fast.so", b"x"),
        ("evil.pth", b"import os"),
        ("package.json", b"{}"),
    ],
)
def test_a_new_dependency_is_found_in_every_manifest(path: str, body: bytes) -> None:
    assert {code for code, _ in codes(NONE, {path: body})} == {"new_dependency"}


def test_a_manifest_may_drop_or_bound_what_it_had() -> None:
    assert (
        codes(
            NONE, {"pyproject.toml": b"[project]\ndependencies = [\"FastAPI>=0.2; python_version > '3'\"]\n"}
        )
        == []
    )
    assert codes(NONE, {"requirements.txt": b"httpx>=1.1\n"}) == []
    assert codes(NONE, {"pyproject.toml": b"[project\n"}) == [("does_not_parse", "pyproject.toml")]


# --- typed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "count"),
    [
        (b"def f(a: int, *b: int, c: int = 1, **d: int) -> int: ...\n", 0),
        (b"def f(a): ...\n", 2),
        (b"async def f(a: int): ...\n", 1),
        (b"def f(a, /, b, *c, d, **e) -> int: ...\n", 5),
        (b"def _f(a): ...\n", 0),
        (b"class A:\n    def __init__(self, a: int): ...\n    def f(self) -> int: ...\n", 0),
        (b"class A:\n    def __init__(self, a): ...\n    def f(self): ...\n", 2),
        (b"class A:\n    @staticmethod\n    def f(a) -> int: ...\n", 1),
        (b"class A:\n    @classmethod\n    def f(cls) -> int: ...\n", 0),
        (b"class _A:\n    def f(self): ...\n", 0),
        (b"if True:\n    try:\n        pass\n    except ValueError:\n        def f(): ...\n", 1),
        (b"def f() -> int:\n    def g(x): ...\n    return 1\n", 0),
    ],
)
def test_public_functions_that_changed_are_annotated(code: bytes, count: int) -> None:
    found = findings("Typed", {"service/new.py": code})
    assert [item.code for item in found] == ["not_annotated"] * count


def test_an_old_function_that_did_not_change_is_left_alone() -> None:
    grown = BEFORE["service/app.py"] + b"\ndef new() -> int:\n    return 1\n"
    assert codes("Typed", {"service/app.py": grown}) == []
    assert codes("Typed", {"service/app.py": grown.replace(b"return x", b"return x + 1")}) != []
    assert codes("Typed", {"tests/test_new.py": b"def test_x(a): ...\n"}) == []


# --- the book -------------------------------------------------------------------------------------


def loud(subject: Subject, constraint: str) -> list[Finding]:
    assert subject.brief is not None
    return [] if "quiet" in subject.brief.objective else [Finding("loud", "/objective", constraint)]


QUIET = Rule(name="quiet", version=1, phrases=("Keep  Quiet",), subjects=(SubjectKind.BRIEF,), check=loud)


def test_an_unknown_constraint_is_refused_with_what_is_known() -> None:
    with pytest.raises(UnknownConstraint) as refusal:
        builtin_rules().select("Be nice")
    assert refusal.value.facts["known"] == list(builtin_rules().phrases)
    assert "Single file only" in refusal.value.remedy


def test_a_rule_of_ones_own_checks_what_it_looks_at() -> None:
    book = builtin_rules().with_rule(QUIET)
    constraints, rules = ["keep quiet", "Typed"], ["quiet@1", "typed@1"]
    subject = Subject(brief=Brief("loud", ("x",)))
    results = book.check(constraints, rules, subject, SubjectKind.BRIEF)
    assert [(item.rule, [found.detail for found in item.findings]) for item in results] == [
        ("quiet@1", ["keep quiet"])
    ]
    assert (
        book.check(constraints, rules, Subject(brief=Brief("quiet", ("x",))), SubjectKind.BRIEF)[0].findings
        == ()
    )


def test_the_newest_version_is_selected_and_the_old_one_still_found() -> None:
    newer = Rule(name="quiet", version=2, phrases=("keep quiet",), subjects=(SubjectKind.BRIEF,), check=loud)
    for book in (RuleBook((QUIET, newer)), RuleBook((newer, QUIET))):
        assert book.select("KEEP QUIET").ref == "quiet@2"
        assert book.rule("quiet@1") is QUIET
    with pytest.raises(UnknownRule):
        builtin_rules().rule("quiet@1")


def test_no_phrase_has_two_meanings() -> None:
    with pytest.raises(RuleConflict):
        builtin_rules().with_rule(
            Rule(name="other", version=1, phrases=("typed",), subjects=(SubjectKind.TREE,), check=loud)
        )
    with pytest.raises(RuleConflict):
        RuleBook((QUIET, QUIET))
