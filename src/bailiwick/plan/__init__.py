"""Floor 2: what a run will do: the plan's graph, the compiler that makes it, and the rules it is held to."""

from bailiwick.plan.brief import Brief, brief_schema, check_brief, parse_brief
from bailiwick.plan.builtin import builtin_rules, is_test
from bailiwick.plan.checked import Checked, check_planned, checked_by
from bailiwick.plan.compiler import compile_workflow, with_brief
from bailiwick.plan.conditions import (
    ConditionFailed,
    InvalidCondition,
    check_condition,
    holds,
    identifiers,
    variables_in,
)
from bailiwick.plan.findings import Finding, InvalidWorkflow, NotYet, PlanRefused
from bailiwick.plan.graph import (
    UNDO,
    ContextItem,
    Limits,
    Node,
    NodeKind,
    OnError,
    Pin,
    Plan,
    Repeat,
    Retry,
    parse_plan,
    plan_bytes,
)
from bailiwick.plan.locate import locate
from bailiwick.plan.references import (
    InvalidTemplate,
    Located,
    Reference,
    UnresolvedReference,
    parse_reference,
    references_in,
    resolve,
)
from bailiwick.plan.rules import (
    Rule,
    RuleBook,
    RuleConflict,
    RuleResult,
    Subject,
    SubjectKind,
    UnknownConstraint,
    UnknownRule,
)
from bailiwick.plan.source import Workflow, parse_workflow

__all__ = [
    "UNDO",
    "Brief",
    "Checked",
    "ConditionFailed",
    "ContextItem",
    "Finding",
    "InvalidCondition",
    "InvalidTemplate",
    "InvalidWorkflow",
    "Limits",
    "Located",
    "Node",
    "NodeKind",
    "NotYet",
    "OnError",
    "Pin",
    "Plan",
    "PlanRefused",
    "Reference",
    "Repeat",
    "Retry",
    "Rule",
    "RuleBook",
    "RuleConflict",
    "RuleResult",
    "Subject",
    "SubjectKind",
    "UnknownConstraint",
    "UnknownRule",
    "UnresolvedReference",
    "Workflow",
    "brief_schema",
    "builtin_rules",
    "check_brief",
    "check_condition",
    "check_planned",
    "checked_by",
    "compile_workflow",
    "holds",
    "identifiers",
    "is_test",
    "locate",
    "parse_brief",
    "parse_plan",
    "parse_reference",
    "parse_workflow",
    "plan_bytes",
    "references_in",
    "resolve",
    "variables_in",
    "with_brief",
]
