"""What a Python file imports, seen in its syntax tree; imports that cannot be followed are seen as such."""

import ast
import warnings

import msgspec

_IMPORT_CALLS = ("importlib.import_module", "importlib.__import__", "builtins.__import__", "__import__")
_LOADERS = (
    "importlib",
    "imp",
    "runpy",
    "pkgutil",
    "zipimport",
    "builtins",
    "code",
    "codeop",
    "site",
    "marshal",
)
_HARMLESS = ("importlib.metadata", "importlib.resources")
_BUILTINS = ("__import__", "exec", "eval", "compile", "__builtins__", "__loader__", "__spec__")


class Import(msgspec.Struct, frozen=True):
    """One imported module (absolute, dotted) and the line that imports it."""

    module: str
    line: int


class Imports(msgspec.Struct, frozen=True):
    """What a file imports, and the places (line, what) where it may import what nobody can tell beforehand."""

    modules: tuple[Import, ...]
    unclear: tuple[tuple[int, str], ...]


def parse_python(source: bytes) -> ast.Module | None:
    """Parse a Python file; None when it does not parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def imports_in(tree: ast.Module) -> Imports:
    """List a file's imports, wherever they stand: in functions, conditions and type-checking blocks too.

    Followed are `import`, `from`, and `importlib.import_module` or `__import__` with a literal name, also
    under other names. Any other mention of the machinery (`exec`, `eval`, `compile`, `runpy`, a computed
    name, the string "__import__") is unclear. What it cannot see: code that a permitted module runs on
    behalf of the file, such as a subprocess or an unpickled object.
    """
    scan = _Scan()
    nodes = list(ast.walk(tree))
    for node in nodes:
        scan.statement(node)
    for node in nodes:
        scan.call(node)
    for node in nodes:
        scan.mention(node)
    unclear = sorted(dict.fromkeys(scan.unclear))
    return Imports(tuple(sorted(scan.modules, key=lambda item: (item.line, item.module))), tuple(unclear))


class _Scan:
    """One pass over a tree: names that stand for the import machinery, then every use of them."""

    def __init__(self) -> None:
        self.modules: list[Import] = []
        self.unclear: list[tuple[int, str]] = []
        self.origins: dict[str, str] = {}
        self.followed: list[int] = []

    def statement(self, node: ast.AST) -> None:
        """Take in an import statement, and the names it binds to the machinery."""
        match node:
            case ast.Import(names=names, lineno=line):
                for alias in names:
                    self.modules.append(Import(alias.name, line))
                    bound = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(alias.asname or bound, bound)
            case ast.ImportFrom(module=str() as module, level=0, names=names, lineno=line):
                self.modules.append(Import(module, line))
                for alias in names:
                    if alias.name == "*" and _is_loader(module):
                        self.unclear.append((line, f"from {module} import *"))
                    self._bind(alias.asname or alias.name, f"{module}.{alias.name}")
            case _:
                return

    def _bind(self, name: str, origin: str) -> None:
        if _is_loader(origin):
            self.origins[name] = origin

    def call(self, node: ast.AST) -> None:
        """Follow a call of the machinery that names its module literally."""
        match node:
            case ast.Call(func=func, args=[ast.Constant(value=str() as module), *_]):
                if self._origin(func) in _IMPORT_CALLS:
                    self.followed += [id(part) for part in ast.walk(func)]
                    if not module.startswith("."):
                        self.modules.append(Import(module, node.lineno))
            case _:
                return

    def mention(self, node: ast.AST) -> None:
        """Note every other use of the machinery."""
        match node:
            case ast.Attribute() | ast.Name() if id(node) not in self.followed:
                origin = self._origin(node)
                if origin in _HARMLESS or origin.startswith(tuple(f"{name}." for name in _HARMLESS)):
                    self.followed += [id(part) for part in ast.walk(node)]
                elif origin:
                    self.unclear.append((node.lineno, origin))
            case ast.Constant(value=str() as text, lineno=line) if text in ("__import__", "__builtins__"):
                self.unclear.append((line, repr(text)))
            case _:
                return

    def _origin(self, node: ast.AST) -> str:
        """Name what an expression stands for, if that is part of the machinery; else empty."""
        match node:
            case ast.Name(id=name) if name in self.origins:
                return self.origins[name]
            case ast.Name(id=name) if name in _BUILTINS:
                return name
            case ast.Attribute(value=value, attr=name):
                before = self._origin(value)
                return f"{before}.{name}" if before else ""
            case _:
                return ""


def _is_loader(origin: str) -> bool:
    return origin.partition(".")[0] in _LOADERS
