"""What the gate asks of policy: one action with the facts that the server knows about it."""

from enum import StrEnum

import msgspec

from bailiwick.contract import EffectClass
from bailiwick.policy.identity import Principal


class ActionKind(StrEnum):
    """What is about to be done."""

    RUN_SUBMIT = "run.submit"
    STEP_START = "step.start"
    TOOL_CALL = "tool.call"
    MODEL_CALL = "model.call"


class Environment(msgspec.Struct, frozen=True):
    """Where the action executes: worker pool, sandbox profile, region, credential scope; "" when unset."""

    pool: str = ""
    sandbox: str = ""
    region: str = ""
    scope: str = ""


class ActionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One action as policy sees it; every field comes from server state, none from what an agent claims.

    Attributes:
        principal: Who acts. A step is started in the name of the run's requester, a call that an agent
            makes in the name of that agent.
        kind: The capability's kind (agent, tool, model), or `workflow` for `run.submit`.
        permissions: What the contract says that the capability may change, for example `pipelines.write`.
        declared: The plan, or the acting agent's contract, names this capability.
        subject: Digest of the artifact that the action is about (of the diff, for `git.apply`), or "".
        reviewed: Digests for which a review passed in this run.
        paths: Files that the action would change, relative to the tree they lie in (see `written_by`).
        classes: Path classes that it meets beyond those of its paths.
        host: Where a call over the network goes, as its contract lists it in `allowed_apis`; else "".
        method: Its HTTP method, or "".
        url_path: The path of its address as it is sent, or "".
        spent_micro_usd: Spent by the run so far.
        remaining_micro_usd: What the run may still spend.
        estimate_micro_usd: What this action may cost at most.
        untrusted: The acting context held untrusted content.
        generated_prompt: The instructions of a model call were written by a model, not pinned by the run.
        approvals: Groups that have approved exactly this action; each with its quorum met, none of its
            approvers the requester.
    """

    principal: Principal
    action: ActionKind
    capability: str
    version: str
    kind: str
    effect: EffectClass
    tenant: str
    app: str
    permissions: tuple[str, ...] = ()
    allowed_apis: tuple[str, ...] = ()
    environment: Environment = Environment()
    declared: bool = False
    subject: str = ""
    reviewed: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    branch: str = ""
    host: str = ""
    method: str = ""
    url_path: str = ""
    spent_micro_usd: int = 0
    remaining_micro_usd: int = 0
    estimate_micro_usd: int = 0
    untrusted: bool = False
    generated_prompt: bool = False
    approvals: tuple[str, ...] = ()
