"""Architect rules: named, versioned checks that give each constraint its meaning; one without a rule is refused."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.plan.brief import Brief, normal_phrase
from bailiwick.plan.findings import Finding


class SubjectKind(StrEnum):
    """What a rule looks at: a planner's brief, or the working tree that a step produced."""

    BRIEF = "brief"
    TREE = "tree"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is checked. Paths are relative, with forward slashes; `artifacts` are other outputs by name.

    Both trees are whole: a rule must see what was there to know what is new.
    """

    brief: Brief | None = None
    files_before: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    files_after: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    artifacts: Mapping[str, bytes] = msgspec.field(default_factory=dict)

    @property
    def changed(self) -> tuple[str, ...]:
        """The paths that were added, removed or rewritten, sorted."""
        paths = sorted({*self.files_before, *self.files_after})
        return tuple(path for path in paths if self.files_before.get(path) != self.files_after.get(path))


Check = Callable[[Subject, str], Iterable[Finding]]
"""A pure function (subject, constraint as written) -> findings; none means that the constraint holds."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one rule. `phrases` are the constraints that it gives meaning to.

    Phrases are compared casefolded and with their white space evened out.
    """

    name: str
    version: int
    phrases: tuple[str, ...]
    subjects: tuple[SubjectKind, ...]
    check: Check

    @property
    def ref(self) -> str:
        """The exact name, for example `single-file@1`."""
        return f"{self.name}@{self.version}"


class RuleResult(msgspec.Struct, frozen=True):
    """What one rule said about one constraint; it holds when there are no findings."""

    rule: str
    constraint: str
    findings: tuple[Finding, ...]


class UnknownConstraint(Refusal, code="unknown_constraint", category=Category.INVALID):
    """A constraint that no rule checks would be a promise that nobody keeps."""

    def __init__(self, constraint: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"no rule checks the constraint {constraint[:120]!r}",
            remedy=f"use one of: {'; '.join(known) or '(none is known)'}; or register a rule for it",
            constraint=constraint[:120],
            known=list(known),
        )


class UnknownRule(Refusal, code="unknown_rule", category=Category.ABSENT):
    """A plan names a rule that is not registered here."""

    rule: str
    says = "the rule {rule!r} is not registered"
    remedy = "start this program with the rules that the plan was compiled with"


class RuleConflict(Refusal, code="rule_conflict", category=Category.CONFLICT):
    """Two rules claim one name or one phrase, so a constraint would have two meanings."""

    rule: str
    other: str
    claim: str
    says = "the rules {rule} and {other} both claim {claim!r}"
    remedy = "raise the version of a rule that you change; give each phrase to one rule"


class RuleBook:
    """The registered rules; it never changes, `with_rule` makes a new one."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._by_ref: dict[str, Rule] = {}
        self._by_phrase: dict[str, Rule] = {}
        self._meanings: tuple[tuple[str, str], ...] | None = None
        for rule in rules:
            self._add(rule)

    def _add(self, rule: Rule) -> None:
        if rule.ref in self._by_ref:
            raise RuleConflict(rule.ref, rule.ref, rule.ref)
        self._by_ref[rule.ref] = rule
        for phrase in rule.phrases:
            holder = self._by_phrase.get(normal_phrase(phrase))
            if holder is not None and holder.name != rule.name:
                raise RuleConflict(rule.ref, holder.ref, phrase)
            if holder is None or holder.version < rule.version:
                self._by_phrase[normal_phrase(phrase)] = rule

    def with_rule(self, rule: Rule) -> "RuleBook":
        """Make a book that also holds this rule.

        Raises:
            RuleConflict: Its name and version, or one of its phrases, belong to another rule.
        """
        return RuleBook((*self._by_ref.values(), rule))

    @property
    def phrases(self) -> tuple[str, ...]:
        """The constraints that can be asked for, as their rules write them, sorted."""
        return tuple(phrase for phrase, _ in self.meanings)

    @property
    def meanings(self) -> tuple[tuple[str, str], ...]:
        """The constraints that can be asked for, each with the rule that gives it its meaning, sorted."""
        if self._meanings is None:
            spelled = {
                normal_phrase(phrase): phrase for rule in self._by_ref.values() for phrase in rule.phrases
            }
            self._meanings = tuple((spelled[key], self._by_phrase[key].ref) for key in sorted(spelled))
        return self._meanings

    def held_to(self, meanings: Iterable[tuple[str, str]]) -> "RuleBook":
        """Make a book in which exactly these constraints can be asked for, each with the meaning it had.

        Raises:
            UnknownRule: One of these rules is not registered here.
        """
        held = RuleBook(self._by_ref.values())
        held._meanings = tuple((phrase, ref) for phrase, ref in meanings)
        held._by_phrase = {normal_phrase(phrase): self.rule(ref) for phrase, ref in held._meanings}
        return held

    def select(self, constraint: str) -> Rule:
        """Choose the newest rule that gives a constraint its meaning.

        Raises:
            UnknownConstraint: None does; `facts["known"]` lists what can be asked for.
        """
        rule = self._by_phrase.get(normal_phrase(constraint))
        if rule is None:
            raise UnknownConstraint(constraint, self.phrases)
        return rule

    def rule(self, ref: str) -> Rule:
        """Find the exact rule that a plan names.

        Raises:
            UnknownRule: It is not registered.
        """
        found = self._by_ref.get(ref)
        if found is None:
            raise UnknownRule(ref)
        return found

    def check(
        self, constraints: Iterable[str], rules: Iterable[str], subject: Subject, kind: SubjectKind
    ) -> tuple[RuleResult, ...]:
        """Hold a subject to a plan's constraints, each by the rule beside it (`plan.constraints`, `plan.rules`).

        Rules that do not look at this kind of subject give no result.

        Raises:
            UnknownRule: A rule is not registered.
        """
        pairs = [(constraint, self.rule(ref)) for constraint, ref in zip(constraints, rules, strict=True)]
        return tuple(
            RuleResult(rule.ref, constraint, tuple(rule.check(subject, constraint)))
            for constraint, rule in pairs
            if kind in rule.subjects
        )
