"""The architect rules that come with the platform: single-file, no-external-dependencies, typed."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping

from bailiwick.plan.dependencies import declared, is_manifest, is_opaque
from bailiwick.plan.findings import Finding
from bailiwick.plan.imports import Import, imports_in, parse_python
from bailiwick.plan.rules import Rule, RuleBook, Subject, SubjectKind

_TEST = re.compile(r"tests?/.*|(?:.*/)?(?:test_[^/]*|[^/]*_test|conftest)\.py\Z")
_PYTHON = re.compile(r".*\.pyi?\Z")


def is_test(path: str) -> bool:
    """Whether a path is a test: under the top `tests/`, or `test_*.py`, `*_test.py`, `conftest.py`."""
    return bool(_TEST.match(path))


def builtin_rules() -> RuleBook:
    """Make a book of the platform's own rules; apps add theirs with `with_rule`."""
    tree = (SubjectKind.TREE,)
    return RuleBook(
        (
            Rule(
                name="single-file",
                version=1,
                phrases=("Single file only", "Single file"),
                subjects=tree,
                check=_single_file,
            ),
            Rule(
                name="no-external-dependencies",
                version=1,
                phrases=("No external dependencies", "No new dependencies"),
                subjects=tree,
                check=_no_external_dependencies,
            ),
            Rule(name="typed", version=1, phrases=("Typed", "Type annotations"), subjects=tree, check=_typed),
        )
    )


def _single_file(subject: Subject, constraint: str) -> Iterator[Finding]:
    """At most one file outside the tests is added, removed or rewritten; none leans on a changed test file."""
    changed = [path for path in subject.changed if not is_test(path)]
    if len(changed) > 1:
        for path in changed:
            detail = (
                f"{constraint!r}: {len(changed)} files outside the tests are changed; this is one of them"
            )
            yield Finding("too_many_files", path, detail)
    whole, last = _test_modules(subject.changed)
    for path, used in _changed_imports(subject, changed):
        if used.module in whole or used.module.rpartition(".")[2] in last:
            detail = f"{constraint!r}: it uses {used.module}, a changed test file"
            yield Finding("code_in_tests", f"{path}:{used.line}", detail)


def _test_modules(changed: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Name the changed test files as modules: in full, and by their last part where that alone tells a test."""
    dotted = [path.removesuffix(".py").replace("/", ".") for path in changed if is_test(path)]
    whole = [*dotted, *(name.partition(".")[2] for name in dotted if "." in name)]
    return whole, [name for name in (full.rpartition(".")[2] for full in dotted) if is_test(f"{name}.py")]


def _changed_imports(subject: Subject, paths: list[str]) -> Iterator[tuple[str, Import]]:
    for path in paths:
        tree = parse_python(subject.files_after.get(path, b"")) if _PYTHON.match(path) else None
        if tree is None:
            continue
        for used in imports_in(tree).modules:
            yield path, used
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                prefix = f"{node.module}." if node.module else ""
                for alias in node.names:
                    yield path, Import(prefix + alias.name, node.lineno)


def _no_external_dependencies(subject: Subject, constraint: str) -> Iterator[Finding]:
    """Changed code imports nothing that the tree did not have, and no manifest declares more than before."""
    known = _known_modules(subject)
    for path in subject.changed:
        after = subject.files_after.get(path)
        if after is None:
            continue
        if _PYTHON.match(path):
            yield from _import_findings(path, after, known, constraint)
        if is_manifest(path):
            yield from _manifest_findings(path, subject, constraint)
        elif is_opaque(path):
            yield Finding(
                "new_dependency", path, f"{constraint!r}: this file may bring dependencies in; it is changed"
            )


def _import_findings(path: str, body: bytes, known: Mapping[str, None], constraint: str) -> Iterator[Finding]:
    tree = parse_python(body)
    if tree is None:
        yield Finding(
            "does_not_parse", path, f"{constraint!r} cannot be checked: this is not Python that parses"
        )
        return
    found = imports_in(tree)
    for used in found.modules:
        if used.module.partition(".")[0] not in known:
            detail = (
                f"{constraint!r}: {used.module} is neither in the standard library, nor here, nor used before"
            )
            yield Finding("external_import", f"{path}:{used.line}", detail)
    for line, what in found.unclear:
        yield Finding("unclear_import", f"{path}:{line}", f"{constraint!r}: {what} may import anything")


def _manifest_findings(path: str, subject: Subject, constraint: str) -> Iterator[Finding]:
    before = declared(path, subject.files_before.get(path, b""))
    after = declared(path, subject.files_after[path])
    if after is None:
        yield Finding(
            "does_not_parse", path, f"{constraint!r} cannot be checked: this manifest cannot be read"
        )
        return
    for name in after:
        if name not in (before or ()):
            yield Finding("new_dependency", path, f"{constraint!r}: {name!r} is declared, and was not before")


def _known_modules(subject: Subject) -> dict[str, None]:
    """List the top-level modules that may be imported: standard library, the tree's own, and what was used before."""
    known = dict.fromkeys(sys.stdlib_module_names)
    for path, body in subject.files_before.items():
        if is_manifest(path):
            known |= dict.fromkeys(name.replace("-", "_") for name in declared(path, body) or ())
        tree = parse_python(body) if _PYTHON.match(path) else None
        if tree is not None:
            known |= dict.fromkeys(used.module.partition(".")[0] for used in imports_in(tree).modules)
    for path in subject.files_before:
        known |= dict.fromkeys(_top_modules(path, namespace=True))
    for path in subject.files_after:
        known |= dict.fromkeys(_top_modules(path, namespace=False))
    return known


def _top_modules(path: str, *, namespace: bool) -> Iterator[str]:
    """Name the module that a path makes importable from the top, `src` or `tests`.

    A new directory counts with its `__init__.py` only: without one, an installed package of the same
    name would be imported in its place.
    """
    parts = path.split("/")
    if parts[0] in ("src", "tests") and len(parts) > 1:
        yield parts[0]
        parts = parts[1:]
    if not path.endswith(".py"):
        return
    if len(parts) == 1:
        yield parts[0].removesuffix(".py")
    elif namespace or parts[1:] == ["__init__.py"]:
        yield parts[0]


def _typed(subject: Subject, constraint: str) -> Iterator[Finding]:
    """Every public function outside the tests that is new or changed annotates its parameters and its result."""
    for path in subject.changed:
        after = subject.files_after.get(path)
        if after is None or not _PYTHON.match(path) or is_test(path):
            continue
        tree = parse_python(after)
        if tree is None:
            yield Finding(
                "does_not_parse", path, f"{constraint!r} cannot be checked: this is not Python that parses"
            )
            continue
        old = parse_python(subject.files_before.get(path, b""))
        before = [(name, ast.dump(function)) for name, function, _ in _functions(old)] if old else []
        for name, function, method in _functions(tree):
            if (name, ast.dump(function)) in before:
                continue
            for what in _unannotated(function, method=method):
                detail = f"{constraint!r}: {name} does not annotate {what}"
                yield Finding("not_annotated", f"{path}:{function.lineno}", detail)


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.Module) -> list[tuple[str, _Function, bool]]:
    """List public functions and methods by their qualified names; what is inside a function is its own affair."""
    found: list[tuple[str, _Function, bool]] = []
    waiting: list[tuple[str, ast.AST, bool]] = [("", tree, False)]
    while waiting:
        prefix, owner, in_class = waiting.pop(0)
        for node in ast.iter_child_nodes(owner):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    if not name.startswith("_") or name == "__init__":
                        found.append((prefix + name, node, in_class and not _is_static(node)))
                case ast.ClassDef(name=name):
                    if not name.startswith("_"):
                        waiting.append((f"{prefix}{name}.", node, True))
                case ast.stmt() | ast.excepthandler() | ast.match_case():
                    waiting.append((prefix, node, in_class))
                case _:
                    continue
    return found


def _is_static(function: _Function) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list)


def _unannotated(function: _Function, *, method: bool) -> list[str]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args][1 if method else 0 :]
    named = [*positional, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    found = [f"{item.arg!r}" for item in named if item is not None and item.annotation is None]
    if function.returns is None and function.name != "__init__":
        found.append("its result")
    return found
