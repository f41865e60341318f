"""Checking: an attempt's output is held to its schema and to the architect rules before it is handed in."""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick.base import Digest
from bailiwick.contract import validator_for
from bailiwick.plan import RuleBook, Subject, SubjectKind, builtin_rules
from bailiwick.ports import Assignment, Trees
from bailiwick.run import PLAN
from bailiwick.service import check_planned


class Checked(msgspec.Struct, frozen=True):
    """What checks said: the rules that were run, and what they and the schema found."""

    rules: tuple[str, ...]
    findings: tuple[str, ...]


class Checker:
    """Runs the checks that an assignment names."""

    def __init__(self, *, books: Mapping[str, RuleBook], trees: Trees) -> None:
        self._books = books
        self._trees = trees

    async def check(self, assignment: Assignment, output: dict[str, Any], tree: str) -> Checked:
        """Hold an output, and the workspace if it was changed, to what was promised."""
        if assignment.step == PLAN:
            planned = check_planned(output, self._book(assignment), assignment.checks)
            return Checked(planned.rules, planned.findings)
        errors = validator_for(assignment.output).errors(output)
        if errors:
            return Checked((), tuple(f"{error.pointer or '/'}: {error.detail}" for error in errors))
        if not tree or tree == assignment.tree or not assignment.checks:
            return Checked((), ())
        return await self._rules(assignment, tree)

    def _book(self, assignment: Assignment) -> RuleBook:
        """Give the rules with what constraints meant when the run began; of an app that is gone, the built-in ones."""
        book = self._books.get(assignment.app)
        return (book if book is not None else builtin_rules()).held_to(assignment.phrases)

    async def _rules(self, assignment: Assignment, tree: str) -> Checked:
        before = assignment.tree_before
        subject = Subject(
            files_before=await self._trees.files(assignment.tenant, Digest(before)) if before else {},
            files_after=await self._trees.files(assignment.tenant, Digest(tree)),
        )
        rules = [rule for rule, _ in assignment.checks]
        constraints = [constraint for _, constraint in assignment.checks]
        results = self._book(assignment).check(constraints, rules, subject, SubjectKind.TREE)
        findings = tuple(
            f"{result.rule}: {finding.pointer}: {finding.detail}"
            for result in results
            for finding in result.findings
        )
        return Checked(tuple(result.rule for result in results), findings)
