"""Floor 2: who may do what. Identities and roles, action requests, and the policy bundles that decide them."""

from bailiwick.policy.attributes import ATTRIBUTES, Attribute, attribute_table
from bailiwick.policy.build import IsolatedCompiler, PolicyRefused, build_bundle, default_files, stacked
from bailiwick.policy.bundle import Bundle, Verdict, VerdictKind
from bailiwick.policy.compile import CompileReport, accept, compile_request, compile_text
from bailiwick.policy.identity import (
    PERMISSIONS,
    Asked,
    Forbidden,
    NotAnApprover,
    Permission,
    Principal,
    PrincipalKind,
    Requester,
    Role,
    SelfApproval,
    may_decide,
    require,
)
from bailiwick.policy.paths import is_production, path_classes
from bailiwick.policy.request import ActionKind, ActionRequest, Environment
from bailiwick.policy.rules import Hold, Rule, RuleEffect, duration_seconds
from bailiwick.policy.text import Finding, precheck, version_of
from bailiwick.policy.written import written_by

__all__ = [
    "ATTRIBUTES",
    "PERMISSIONS",
    "ActionKind",
    "ActionRequest",
    "Asked",
    "Attribute",
    "Bundle",
    "CompileReport",
    "Environment",
    "Finding",
    "Forbidden",
    "Hold",
    "IsolatedCompiler",
    "NotAnApprover",
    "Permission",
    "PolicyRefused",
    "Principal",
    "PrincipalKind",
    "Requester",
    "Role",
    "Rule",
    "RuleEffect",
    "SelfApproval",
    "Verdict",
    "VerdictKind",
    "accept",
    "attribute_table",
    "build_bundle",
    "compile_request",
    "compile_text",
    "default_files",
    "duration_seconds",
    "is_production",
    "may_decide",
    "path_classes",
    "precheck",
    "require",
    "stacked",
    "version_of",
    "written_by",
]
