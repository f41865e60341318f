"""Editions: the facts that policy saw in runs of earlier releases, so that a replay asks what was asked then."""

from msgspec.structs import replace

from bailiwick.policy import ActionKind, ActionRequest, Environment, Principal
from bailiwick.run import Run
from bailiwick.service.gate.actions import Action


def first_edition(
    asked: ActionRequest, run: Run | None = None, action: Action | None = None
) -> ActionRequest:
    """Take away from a question what edition 0 did not tell policy (see `run.EDITION`); an action comes with its run."""
    match asked.action:
        case ActionKind.RUN_SUBMIT:
            return replace(
                asked,
                version="1.0.0",
                environment=Environment(),
                declared=False,
                remaining_micro_usd=0,
                estimate_micro_usd=0,
                untrusted=False,
            )
        case ActionKind.STEP_START:
            by = asked.principal
            return replace(
                asked,
                principal=Principal(by.name, by.name, by.kind, by.tenant),
                permissions=(),
                allowed_apis=(),
                environment=Environment(),
                reviewed=(),
                spent_micro_usd=0,
                remaining_micro_usd=0,
                estimate_micro_usd=0,
                untrusted=False,
            )
        case ActionKind.TOOL_CALL | ActionKind.MODEL_CALL:
            environment = run.environment if run is not None else {}
            paths = action.facts.get("paths", ()) if action is not None else ()
            return replace(asked, environment=Environment(**environment), paths=tuple(paths), classes=())
