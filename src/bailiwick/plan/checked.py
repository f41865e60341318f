"""What an output was held to and what was wrong with it: by the rules on workspaces, or by all that a brief must keep."""

from collections.abc import Iterable, Sequence

import msgspec

from bailiwick.base import Json
from bailiwick.plan.brief import check_brief, parse_brief
from bailiwick.plan.rules import RuleBook, RuleResult, Subject, SubjectKind


class Checked(msgspec.Struct, frozen=True):
    """The rules that were run on an output, and all that was found wrong with it."""

    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def checked_by(results: Iterable[RuleResult]) -> Checked:
    """Sum up what rules said."""
    said = tuple(results)
    findings = tuple(
        f"{result.rule}: {finding.pointer}: {finding.detail}"
        for result in said
        for finding in result.findings
    )
    return Checked(tuple(result.rule for result in said), findings)


def check_planned(value: Json, book: RuleBook, checks: Sequence[tuple[str, str]]) -> Checked:
    """Check a planner's answer; pure, so that the worker and the platform come to the same.

    Args:
        value: The answer, parsed.
        book: The app's rules.
        checks: The rule of each constraint that was asked for; what the brief adds is checked by the newest.
    """
    asked = [constraint for _, constraint in checks]
    wrong = check_brief(value, book.phrases, asked)
    if wrong:
        return Checked(findings=tuple(f"{each.pointer}: {each.detail}" for each in wrong))
    brief = parse_brief(value)
    added = [text for text in brief.constraints if text not in asked]
    rules = [rule for rule, _ in checks] + [book.select(text).ref for text in added]
    return checked_by(book.check([*asked, *added], rules, Subject(brief=brief), SubjectKind.BRIEF))
