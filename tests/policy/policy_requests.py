"""Requests and bundles that the policy tests share."""

import subprocess
import sys
from typing import Any

from bailiwick.contract import EffectClass
from bailiwick.policy import (
    ActionKind,
    ActionRequest,
    Bundle,
    Principal,
    PrincipalKind,
    Role,
    build_bundle,
    default_files,
)
from bailiwick.policy.compile import answer

AGENT = Principal(id="agt_1", name="implementer", kind=PrincipalKind.AGENT, tenant="acme")
USER = Principal(id="usr_1", name="ada", kind=PrincipalKind.USER, tenant="acme", role=Role.OPERATOR)
SYSTEM = Principal(id="sys", name="platform", kind=PrincipalKind.SYSTEM, tenant="")


def request(**changes: Any) -> ActionRequest:
    """An agent's call of a declared tool that writes idempotently; whatever a test needs is changed."""
    facts: dict[str, Any] = {
        "principal": AGENT,
        "action": ActionKind.TOOL_CALL,
        "capability": "files.write",
        "version": "1.0.0",
        "kind": "tool",
        "effect": EffectClass.IDEMPOTENT_WRITE,
        "tenant": "acme",
        "app": "delivery",
        "declared": True,
    }
    return ActionRequest(**(facts | changes))


def apply_request(**changes: Any) -> ActionRequest:
    """`git.apply` of a reviewed diff, not yet approved."""
    facts = {
        "capability": "git.apply",
        "subject": "d1",
        "reviewed": ("d1",),
        "paths": ("app/main.py",),
    }
    return request(**(facts | changes))


def in_process(body: bytes) -> bytes:
    """The compiler without its own process, for texts that do no harm."""
    return answer(body)


def in_child(body: bytes) -> bytes:
    """The compiler as wiring runs it."""
    command = [sys.executable, "-I", "-m", "bailiwick.policy.compiler_child"]
    return subprocess.run(command, input=body, capture_output=True, timeout=30, check=False).stdout


def bundle_with(text: str = "") -> Bundle:
    """The default bundle with one more file."""
    return build_bundle({**default_files(), "mine.cedar": text}, in_process)


def only(text: str) -> Bundle:
    """A bundle of one file and the schema."""
    schema = default_files()["schema.cedarschema"]
    return build_bundle({"schema.cedarschema": schema, "mine.cedar": text}, in_process)
