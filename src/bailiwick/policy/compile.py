"""Compiling policy text in a process that may die of it, and what the parent accepts as an answer.

The parent checks size and nesting (`precheck`), hands the bytes of `compile_request` to a child that runs
`bailiwick.policy.compiler_child`, and parses the text itself only after `accept` found a clean report on
exactly this text.
"""

from collections.abc import Mapping

import cedarpy
import msgspec
from cedarpy import pst

from bailiwick.base import Digest, canonical
from bailiwick.policy.rules import lint
from bailiwick.policy.text import SCHEMA_FILE, Finding, Piece, policy_files, split_policies, version_of

_MAX_FINDINGS = 100
_MAX_PROBLEM = 500


class CompileReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the child found; `version` names the text that it looked at, no findings mean that it is sound."""

    version: Digest
    findings: tuple[Finding, ...]


def compile_text(files: Mapping[str, str]) -> CompileReport:
    """Parse, strictly validate and lint a bundle's text. Call it only where a crash does no harm."""
    findings = _schema_findings(files[SCHEMA_FILE])
    if not findings:
        schema = cedarpy.Schema.from_str(files[SCHEMA_FILE])
        seen: dict[str, str] = {}
        for name, text in policy_files(files):
            findings.extend(_file_findings(name, text, schema, seen))
    return CompileReport(version=version_of(files), findings=tuple(findings[:_MAX_FINDINGS]))


def compile_request(files: Mapping[str, str]) -> bytes:
    """Write what the child reads."""
    return canonical(dict(files))


def answer(request: bytes) -> bytes:
    """Do the child's whole work: read a bundle's files, compile them, write the report."""
    return msgspec.json.encode(compile_text(msgspec.json.decode(request, type=dict[str, str])))


def accept(output: bytes, version: Digest) -> tuple[Finding, ...]:
    """Judge what a child wrote before it ended; anything but a clean report on this version is a finding."""
    try:
        report = msgspec.json.decode(output, type=CompileReport)
    except msgspec.MsgspecError:
        return (Finding(file="", problem="the compiler process ended without a report; the text crashed it"),)
    if report.version != version:
        return (Finding(file="", problem="the compiler process reported on another text"),)
    return report.findings


def _schema_findings(text: str) -> list[Finding]:
    try:
        cedarpy.Schema.from_str(text)
    except ValueError as error:
        return [Finding(file=SCHEMA_FILE, problem=str(error)[:_MAX_PROBLEM])]
    return []


def _file_findings(name: str, text: str, schema: cedarpy.Schema, seen: dict[str, str]) -> list[Finding]:
    pieces = split_policies(text)
    try:
        tree = cedarpy.policies_to_pst(text)
    except ValueError as error:
        return _parse_findings(name, text, str(error))
    if len(tree.static_policies) != len(pieces) and not tree.templates:
        return [Finding(file=name, problem="the file cannot be divided into its policies")]
    findings = lint(name, tree, pieces)
    for index, piece in enumerate(pieces):
        policy = tree.static_policies.get(f"policy{index}")
        identifier = policy.annotations.get("id", "") if policy is not None else ""
        if identifier and identifier in seen:
            problem = f"@id {identifier!r} is already used in {seen[identifier]}"
            findings.append(Finding(file=name, problem=problem, policy=index, line=piece.line, id=identifier))
        seen.setdefault(identifier, name)
    return findings + _validate(name, text, schema, tree, pieces)


def _validate(
    name: str, text: str, schema: cedarpy.Schema, tree: pst.PolicySet, pieces: tuple[Piece, ...]
) -> list[Finding]:
    checked = cedarpy.validate_policies(text, schema)
    findings = []
    for wrong in checked.errors:
        number = wrong.policy_id.removeprefix("policy")
        index = int(number) if number.isdecimal() and int(number) < len(pieces) else -1
        policy = tree.static_policies.get(wrong.policy_id)
        findings.append(
            Finding(
                file=name,
                problem=wrong.error[:_MAX_PROBLEM],
                policy=index,
                line=pieces[index].line if index >= 0 else 0,
                id=policy.annotations.get("id", "") if policy is not None else "",
            )
        )
    if not checked.validation_passed and not findings:
        findings.append(Finding(file=name, problem="the policies do not fit the schema"))
    return findings


def _parse_findings(name: str, text: str, problem: str) -> list[Finding]:
    """Say which policy does not parse; the engine itself names no place."""
    findings = []
    for index, piece in enumerate(split_policies(text)):
        try:
            cedarpy.policies_to_pst(piece.text)
        except ValueError as error:
            place = str(error)[:_MAX_PROBLEM]
            findings.append(Finding(file=name, problem=place, policy=index, line=piece.line))
    return findings or [Finding(file=name, problem=problem[:_MAX_PROBLEM])]
