"""Checking: an attempt's output is held to its schema and to the architect rules before it is handed in."""

from collections.abc import Mapping
from typing import Any

from bailiwick.base import Digest
from bailiwick.contract import validator_for
from bailiwick.plan import (
    Checked,
    RuleBook,
    Subject,
    SubjectKind,
    builtin_rules,
    check_planned,
    checked_by,
)
from bailiwick.ports import Assignment, AssignmentKind, Trees


class Checker:
    """Runs the checks that an assignment names."""

    def __init__(self, *, books: Mapping[str, RuleBook], trees: Trees) -> None:
        self._books = books
        self._trees = trees

    async def check(self, assignment: Assignment, output: dict[str, Any], tree: str) -> Checked:
        """Hold an output, and the workspace if it was changed, to what was promised."""
        if assignment.kind is AssignmentKind.PLAN:
            return check_planned(output, self._book(assignment), assignment.checks)
        errors = validator_for(assignment.output).errors(output)
        if errors:
            return Checked(findings=tuple(f"{error.pointer or '/'}: {error.detail}" for error in errors))
        if not tree or tree == assignment.tree or not assignment.checks:
            return Checked()
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
        return checked_by(self._book(assignment).check(constraints, rules, subject, SubjectKind.TREE))
