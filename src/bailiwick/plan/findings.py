"""What is wrong with a workflow, a brief or a changed file: findings, and the refusals that carry them."""

from collections.abc import Iterable

import msgspec

from bailiwick.base import Category, Refusal


class Finding(msgspec.Struct, frozen=True):
    """One fault.

    `code` is stable and snake_case. `pointer` is a JSON pointer into the workflow or brief, or
    `path:line` for a file. `detail` is one sentence for a person.
    """

    code: str
    pointer: str
    detail: str


def as_facts(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Show findings as plain JSON."""
    return [{"code": item.code, "pointer": item.pointer, "detail": item.detail} for item in findings]


class InvalidWorkflow(Refusal, code="invalid_workflow", category=Category.INVALID):
    """A workflow is not written as workflows are; `facts["findings"]` lists every fault."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        super().__init__(
            f"the workflow has {len(self.findings)} fault(s); at {first.pointer or '/'}: {first.detail}",
            remedy="correct the places that the findings point to",
            findings=as_facts(self.findings),
        )


class NotYet(Refusal, code="not_yet", category=Category.INVALID):
    """A workflow uses a form that the house plan names but this version does not run."""

    def __init__(self, form: str, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        super().__init__(
            f"{form!r} at {first.pointer} is not built yet",
            remedy="leave this form out of the workflow; CHANGELOG.md says when it arrives",
            form=form,
            pointer=first.pointer,
            findings=as_facts(self.findings),
        )


class PlanRefused(Refusal, code="plan_refused", category=Category.INVALID):
    """The compiler found a plan that must not run; `facts["findings"]` lists every fault."""

    def __init__(self, workflow: str, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        super().__init__(
            f"workflow {workflow!r} does not compile: {len(self.findings)} finding(s); "
            f"{first.code} at {first.pointer or '/'}: {first.detail}",
            remedy="correct the places that the findings point to, then submit again",
            workflow=workflow,
            findings=as_facts(self.findings),
        )
