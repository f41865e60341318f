"""What a planner handed in, held to the brief's schema, to the intent's constraints and to the rules on briefs."""

from collections.abc import Sequence

import msgspec

from bailiwick.base import Json
from bailiwick.plan import RuleBook, Subject, SubjectKind, check_brief, parse_brief


class Planned(msgspec.Struct, frozen=True):
    """The rules that were run on a brief, and all that was found wrong with it."""

    rules: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


def check_planned(value: Json, book: RuleBook, checks: Sequence[tuple[str, str]]) -> Planned:
    """Check a planner's answer; pure, so that the worker and the platform come to the same.

    Args:
        value: The answer, parsed.
        book: The app's rules.
        checks: The rule of each constraint that was asked for; what the brief adds is checked by the newest.
    """
    asked = [constraint for _, constraint in checks]
    wrong = check_brief(value, book.phrases, asked)
    if wrong:
        return Planned(findings=tuple(f"{each.pointer}: {each.detail}" for each in wrong))
    brief = parse_brief(value)
    added = [text for text in brief.constraints if text not in asked]
    constraints = [*asked, *added]
    rules = [rule for rule, _ in checks] + [book.select(text).ref for text in added]
    results = book.check(constraints, rules, Subject(brief=brief), SubjectKind.BRIEF)
    findings = [
        f"{result.rule}: {finding.pointer}: {finding.detail}"
        for result in results
        for finding in result.findings
    ]
    return Planned(tuple(result.rule for result in results), tuple(findings))
