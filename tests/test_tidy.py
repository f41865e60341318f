"""House rules that no linter knows, read off the source; each rule is first shown a snippet that it must refuse."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE_WALL = 500
FUNCTION_WALL = 70
REASON_WORDS = 3

# Spelled so that this file itself names no such place.
MACHINE = re.compile(
    r"(?<![\w.$}])/(?:work|root)/\w|\bpy(?:pi|thonhosted)[.]org|\bregistry[.]\w+[.](?:org|com)|\b(?:deb|security)[.]debian[.]"
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HACK)\b")
STARTS_A_PROCESS = re.compile(
    r"os\.(?:fork|forkpty|system|popen|exec[lv]\w*|spawn\w+|posix_spawnp?)|asyncio\.create_subprocess_\w+"
    r"|\w+\.subprocess_(?:exec|shell)"
)
MAY_START_PROCESSES = {"sandbox", "wiring", "testing"}


class Source(NamedTuple):
    """One Python file: its path in the repository, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")


def source(text: str, path: str = "src/bailiwick/run/bad.py") -> Source:
    return Source(path, text, ast.parse(text))


@functools.cache
def python_files() -> tuple[Source, ...]:
    paths = [
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("tests/**/*.py"),
        *ROOT.glob("examples/**/*.py"),
        ROOT / "dev",
    ]
    return tuple(source(path.read_text("utf-8"), path.relative_to(ROOT).as_posix()) for path in sorted(paths))


# --- rules about one file: each yields (line, fault) ------------------------------------------------------------------

Faults = Iterator[tuple[int, str]]


def modules_are_short(file: Source) -> Faults:
    lines = file.text.count("\n")
    if lines > MODULE_WALL:
        yield 1, f"{lines} lines; the wall is {MODULE_WALL}"


def functions_are_short(file: Source) -> Faults:
    for node in functions_in(file.tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_WALL:
            yield node.lineno, f"{node.name} has {lines} lines; the wall is {FUNCTION_WALL}"


def broad_excepts_give_a_reason(file: Source) -> Faults:
    comments = comments_in(file.text)
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and not passes_on(node):
            near = " ".join(
                comments.get(line, "") for line in range(node.lineno - 1, node.body[0].lineno + 1)
            )
            words = re.sub(r"noqa(: [A-Z0-9, ]+)?|type: ignore\S*", "", near).split()
            if len([word for word in words if word.isalpha()]) < REASON_WORDS:
                yield node.lineno, "catches everything without a comment that says why"


def nothing_is_mocked(file: Source) -> Faults:
    for node, name in imports_in(file.tree):
        if name.split(".")[:2] == ["unittest", "mock"] or name.split(".")[0] in ("mock", "pytest_mock"):
            yield node.lineno, "mocks; write a fake behind the port"


def nothing_is_unfinished(file: Source) -> Faults:
    for line, text in [*comments_in(file.text).items(), *docstrings_in(file.tree)]:
        if UNFINISHED.search(text):
            yield line, "marks unfinished work; finish it or open an issue"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield node.lineno, "is not implemented"


def no_test_is_skipped(file: Source) -> Faults:
    for node in ast.walk(file.tree):
        words = dotted(node).split(".") if isinstance(node, ast.Attribute) else []
        if words[:1] in (["pytest"], ["unittest"]) and words[-1] in (
            "skip",
            "skipif",
            "skipUnless",
            "xfail",
            "importorskip",
        ):
            yield node.lineno, f"{'.'.join(words)}: what is missing is an error, not a skip"
        if isinstance(node, ast.ImportFrom) and node.module in ("pytest", "unittest"):
            names = {name.name for name in node.names}
            if names & {"skip", "skipIf", "skipUnless", "xfail", "importorskip", "mark"}:
                yield node.lineno, "imports a way to skip; write pytest.mark"


def no_test_sleeps(file: Source) -> Faults:
    if not file.is_test:
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and any(name.name == "sleep" for name in node.names):
            yield node.lineno, "imports sleep; wait for the thing itself"
        if isinstance(node, ast.Call) and dotted(node.func) in ("time.sleep", "asyncio.sleep", "anyio.sleep"):
            yields_only = dotted(node.func) != "time.sleep" and ast.unparse(node.args[0]) == "0"
            if not yields_only:
                yield node.lineno, "sleeps; wait for the thing itself"


def every_test_checks_something(file: Source) -> Faults:
    if not file.is_test:
        return
    for node in functions_in(file.tree):
        if node.name.startswith("test_") and not checks(node, checking_helpers()):
            yield node.lineno, f"{node.name} checks nothing"


def processes_start_where_they_may(file: Source) -> Faults:
    if not file.path.startswith("src/bailiwick/") or file.path.split("/")[2] in MAY_START_PROCESSES:
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute) and STARTS_A_PROCESS.fullmatch(dotted(node)):
            yield (
                node.lineno,
                f"{dotted(node)}: only {', '.join(sorted(MAY_START_PROCESSES))} start processes",
            )


def prose_names_no_machine(file: Source) -> Faults:
    for line, text in [*comments_in(file.text).items(), *docstrings_in(file.tree)]:
        found = MACHINE.search(text)
        if found:
            yield line, f"names {found.group()!r}, which is not on the reader's machine"


def rooms_say_what_they_are(file: Source) -> Faults:
    if file.path.endswith("/__init__.py") and file.path.count("/") > 2 and file.path.startswith("src/"):
        if not ast.get_docstring(file.tree):
            yield 1, "a room opens with the sentence that names it"
        lists = (
            isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__" for node in file.tree.body
        )
        if not any(lists) and len(file.tree.body) > 1:  # a floor of modules offers nothing of its own
            yield 1, "a room lists what it offers in __all__"


# --- what the rules read ----------------------------------------------------------------------------------------------


def functions_in(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def comments_in(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def docstrings_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def imports_in(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module
            yield from ((node, f"{node.module}.{name.name}") for name in node.names)


def dotted(node: ast.AST) -> str:
    match node:
        case ast.Attribute(value=inner, attr=name):
            return f"{dotted(inner)}.{name}"
        case ast.Name(id=name):
            return name
    return "?"


def is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(is_broad(part) for part in caught.elts)
    return caught is None or dotted(caught) in ("Exception", "BaseException")


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Say whether the handler only cleans up: it ends by raising the same error again."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def checks(function: ast.AST, helpers: frozenset[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in ("pytest.raises", "pytest.fail", "pytest.warns", "pytest.RaisesGroup"):
                return True
            if name.split(".")[-1] in helpers:
                return True
    return False


@functools.cache
def checking_helpers() -> frozenset[str]:
    """Name the functions of the tests and of the testing room that check, or call one that does."""
    homes = [
        file for file in python_files() if file.is_test or file.path.startswith("src/bailiwick/testing/")
    ]
    candidates = [
        node for file in homes for node in functions_in(file.tree) if not node.name.startswith("test_")
    ]
    found: frozenset[str] = frozenset()
    while True:
        more = frozenset(node.name for node in candidates if checks(node, found))
        if more == found:
            return found
        found = more


# --- rules about the whole tree ---------------------------------------------------------------------------------------


def module_of(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def unused_modules(files: Iterable[Source], entries: str) -> list[str]:
    """Name the modules of the package that no other one imports; only for the testing room do tests count."""
    used: dict[str, set[str]] = {}
    for file in files:
        for _, name in imports_in(file.tree):
            used.setdefault(name, set()).add(file.path)
        for node in ast.walk(file.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.startswith("bailiwick.")
            ):
                used.setdefault(node.value, set()).add(file.path)  # started with `python -m`
            elif isinstance(node, ast.Constant) and str(node.value).endswith(".py"):
                beside = f"{Path(file.path).parent}/{node.value}"  # read as a file, to be carried elsewhere
                used.setdefault(module_of(beside), set()).add(file.path)
    lost = []
    for file in files:
        name = module_of(file.path)
        if (
            not file.path.startswith("src/")
            or name.endswith((".__init__", ".__main__"))
            or f"{name}:" in entries
        ):
            continue
        by = {path for path in used.get(name, ()) if path != file.path}
        if not any(path.startswith(("src/", "dev")) or ".testing." in name for path in by):
            lost.append(name)
    return lost


def sql_faults(text: str) -> list[str]:
    """Say what is wrong with a query file: it is one statement under a comment that says what it does."""
    bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'|/\*.*?\*/", "", text, flags=re.DOTALL).strip()
    faults = []
    if not text.startswith("-- "):
        faults.append("opens with no comment")
    if bare.count(";") != 1 or not bare.endswith(";"):
        faults.append(f"holds {bare.count(';')} statements that end in a semicolon, not one")
    return faults


def migration_faults(names: Iterable[str]) -> list[str]:
    """Say what is wrong with a folder of migrations: numbered from 1 without a gap, no number twice in one phase."""
    numbers: dict[str, list[int]] = {}
    faults = []
    for name in names:
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+(\.pre|\.post|\.up|\.down)?\.sql", name)
        if match is None:
            faults.append(f"{name} is not NNNN_what_it_does.sql")
        else:
            numbers.setdefault(match[2] or "", []).append(int(match[1]))
    every = sorted({number for several in numbers.values() for number in several})
    if every != list(range(1, len(every) + 1)):
        faults.append(f"the numbers are {every}")
    faults += [
        f"a number stands twice in {several}"
        for several in numbers.values()
        if len(set(several)) < len(several)
    ]
    return faults


RULES: dict[Callable[[Source], Faults], str] = {
    modules_are_short: "a = 1\n" * (MODULE_WALL + 1),
    functions_are_short: "def f():\n" + "    a = 1\n" * FUNCTION_WALL,
    broad_excepts_give_a_reason: "try:\n    pass\nexcept (OSError, Exception):  # noqa: BLE001\n    pass\n",
    nothing_is_mocked: "from unittest import mock\n",
    nothing_is_unfinished: "def f():\n    raise NotImplementedError\n",
    no_test_is_skipped: "import pytest\npytestmark = pytest.mark.skipif(True, reason='x')\n",
    no_test_sleeps: "import asyncio\n\nasync def test_a():\n    assert await asyncio.sleep(0.1)\n",
    every_test_checks_something: "def test_a():\n    print(1)\n    assert True\n",
    processes_start_where_they_may: "import os\nos.posix_spawn('a', [], {})\n",
    prose_names_no_machine: '"""See /wo' + 'rk/somewhere."""\n',
    rooms_say_what_they_are: "a = 1\n",
}
FURTHER_SNIPPETS = [
    (broad_excepts_give_a_reason, "try:\n    pass\nexcept:\n    pass\n"),
    (nothing_is_mocked, "import unittest.mock as m\n"),
    (nothing_is_unfinished, "a = 1  # TO" + "DO later\n"),
    (no_test_is_skipped, "import pytest\nnumpy = pytest.importorskip('numpy')\n"),
    (no_test_sleeps, "from time import sleep\n"),
    (processes_start_where_they_may, "import asyncio\nawaitable = asyncio.create_subprocess_exec('a')\n"),
    (prose_names_no_machine, "a = 1  # from py" + "pi.org\n"),
]
PATHS = {
    no_test_sleeps: "tests/run/test_bad.py",
    every_test_checks_something: "tests/run/test_bad.py",
    rooms_say_what_they_are: "src/bailiwick/run/__init__.py",
}


@pytest.mark.parametrize(
    ("rule", "snippet"), [*RULES.items(), *FURTHER_SNIPPETS], ids=lambda part: getattr(part, "__name__", "")
)
def test_a_rule_refuses_its_bad_snippet(rule: Callable[[Source], Faults], snippet: str) -> None:
    assert list(rule(source(snippet, PATHS.get(rule, "src/bailiwick/run/bad.py"))))


GOOD = '''"""A module."""
import asyncio


def test_a():
    try:
        asyncio.sleep(0)
    except Exception:  # a plugin may raise anything, and is reported as failed
        assert helper() == 1
'''


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_lets_a_good_snippet_pass(rule: Callable[[Source], Faults]) -> None:
    assert list(rule(source(GOOD, "tests/run/test_good.py"))) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Callable[[Source], Faults]) -> None:
    faults = [f"{file.path}:{line}: {fault}" for file in python_files() for line, fault in rule(file)]
    assert not faults, "\n".join(faults)


def test_every_module_is_imported_by_another() -> None:
    used = source("from bailiwick.run import fold\n", "src/bailiwick/run/__init__.py")
    files = [used, source("", "src/bailiwick/run/fold.py"), source("", "src/bailiwick/run/lost.py")]
    assert unused_modules(files, "") == ["bailiwick.run.lost"]
    lost = unused_modules(python_files(), (ROOT / "pyproject.toml").read_text("utf-8"))
    assert not lost, f"nothing imports {', '.join(lost)}"


def test_a_query_is_one_statement_under_a_comment() -> None:
    assert sql_faults("-- Add; one.\n-- in: a\nINSERT INTO t VALUES (:a, ';');\n") == []
    assert sql_faults("SELECT 1;\n") == ["opens with no comment"]
    assert len(sql_faults("-- Two.\nSELECT 1; SELECT 2;\n")) == 1
    assert len(sql_faults("-- None.\nSELECT 1\n")) == 1
    files = sorted(ROOT.glob("src/bailiwick/stores/*/queries/**/*.sql"))
    assert {path.name: sql_faults(path.read_text("utf-8")) for path in files} == {
        path.name: [] for path in files
    }


def test_migrations_are_numbered_without_a_gap() -> None:
    assert migration_faults(["0001_first.sql", "0002_second.pre.sql", "0002_second.post.sql"]) == []
    assert len(migration_faults(["0001_first.sql", "0003_third.sql"])) == 1
    assert len(migration_faults(["0001_first.sql", "0001_other.sql"])) == 1
    assert len(migration_faults(["first.sql"])) == 1
    for folder in ROOT.glob("src/bailiwick/stores/*/migrations"):
        assert migration_faults(path.name for path in folder.glob("*.sql")) == []


def test_no_document_names_a_machine() -> None:
    documents = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("src/**/*.sql"),
    ]
    documents += [ROOT / "constraints.txt", ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
    texts = {path.name: path.read_text("utf-8") for path in documents}
    assert {name: MACHINE.findall(text) for name, text in texts.items() if MACHINE.search(text)} == {}
    assert {name: UNFINISHED.findall(text) for name, text in texts.items() if UNFINISHED.search(text)} == {}
