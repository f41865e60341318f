"""Building a bundle: the default files, an app's own on top, compiled elsewhere before they are trusted here."""

from collections.abc import Callable, Mapping
from importlib.resources import files as package_files

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.policy.attributes import cedar_schema
from bailiwick.policy.bundle import Bundle
from bailiwick.policy.compile import accept, compile_request
from bailiwick.policy.text import SCHEMA_FILE, Finding, precheck, version_of

IsolatedCompiler = Callable[[bytes], bytes]
"""Runs `python -I -m bailiwick.policy.compiler_child` with these bytes as its input, for 20 s at most, and
returns what it wrote, however it ended."""


class PolicyRefused(Refusal, code="policy_refused", category=Category.INVALID):
    """Policy text is not sound, so no bundle was made of it."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first = findings[0]
        place = f"{first.file}:{first.line}" if first.line else first.file
        name = f" (policy {first.policy}{f', {first.id}' if first.id else ''})" if first.policy >= 0 else ""
        more = f"; and {len(findings) - 1} more" if len(findings) > 1 else ""
        super().__init__(
            f"the policies are refused: {f'{place}{name}: ' if place else ''}{first.problem}{more}",
            remedy="correct the findings; the bundle in force stays in force",
            findings=[msgspec.to_builtins(finding) for finding in findings],
        )
        self.findings = findings


def default_files() -> dict[str, str]:
    """Read the default bundle: the schema that the table of attributes gives, and one file per policy domain."""
    folder = package_files("bailiwick.policy") / "default"
    files = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".cedar")
    }
    return {**files, SCHEMA_FILE: cedar_schema()}


def stacked(own: Mapping[str, str]) -> dict[str, str]:
    """Put an app's files on top of the default ones, which they may add to but not replace.

    Raises:
        PolicyRefused: A file has the name of a default one.
    """
    base = default_files()
    taken = tuple(
        Finding(file=name, problem="the default bundle has a file of this name; choose another")
        for name in sorted(own)
        if name in base
    )
    if taken:
        raise PolicyRefused(taken)
    return {**base, **own}


def build_bundle(files: Mapping[str, str], run_child: IsolatedCompiler) -> Bundle:
    """Check, compile in a child process, and load a bundle.

    Args:
        files: `schema.cedarschema` and any number of `*.cedar` files; 256 KiB and 64 brackets deep at most.
        run_child: Runs the compiler in a process of its own.

    Raises:
        PolicyRefused: The text is too large, too deep, does not parse, does not fit the schema, breaks a
            rule of the house, or killed the compiler. `findings` name file, policy and id.
    """
    findings = precheck(files) or accept(run_child(compile_request(files)), version_of(files))
    if findings:
        raise PolicyRefused(findings)
    return Bundle(files)
