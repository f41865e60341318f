"""What the service refuses, beyond what the kernel does."""

from bailiwick.base import Category, Json, Refusal, Short

_TOLD = 5


_LISTED = ("run", "approval", "halt", "key")
_WHERE = {
    kind: f"check the id and the key's tenant; list what there is with: bailiwick {kind}s list"
    for kind in _LISTED
}


class NotFound(Refusal, code="not_found", category=Category.ABSENT):
    """The tenant has no such thing; a foreign tenant's looks exactly the same."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(
            f"there is no {kind} {id[:80]!r}",
            remedy=_WHERE.get(kind, "check the id and the key's tenant"),
            kind=kind,
            id=id[:80],
        )


class EvidenceUnfit(Refusal, code="evidence_unfit", category=Category.INVALID):
    """What is said to have been answered is not what the tool's contract promises; nothing was recorded."""

    def __init__(self, capability: str, errors: list[dict[str, str]], form: Json) -> None:
        told = "; ".join(f"{error['pointer'] or '/'}: {error['detail']}" for error in errors[:_TOLD])
        super().__init__(
            f"this is not what {capability} answers: {told}",
            remedy="fill in the form and say it again; or say that it is done without its answer, if nobody has it",
            capability=capability,
            errors=errors,
            form=form,
        )


class NotKept(Refusal, code="not_kept", category=Category.ABSENT):
    """A run holds on to something that is not there any more, so that nobody can go on with it as it was."""

    capability: str
    reason: str
    says = "this run goes on with {capability} as it was when it began: {reason}"
    remedy = "restore it from a backup, or load it again as it was"


class InvalidIntent(Refusal, code="invalid_intent", category=Category.INVALID):
    """An intent does not say what an intent must say."""

    def __init__(self, pointer: str, detail: str, *, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(
            f"the intent is not valid at {pointer or '/'}: {detail}",
            remedy="correct the field; /openapi.json and docs/api.md show an intent",
            pointer=pointer,
            errors=errors if errors is not None else [{"pointer": pointer, "detail": detail}],
        )


class DeadlineExpired(Refusal, code="deadline_expired", category=Category.INVALID):
    """A deadline lies in the past."""

    deadline: str
    now: str
    says = "the deadline {deadline} has passed"
    remedy = "give a deadline in the future"


class PlannerRequired(Refusal, code="planner_required", category=Category.INVALID):
    """The deployment demands a planner of an app's workflows, and this one has none."""

    app: str
    workflow: str
    says = "the workflow {workflow} of {app} names no planner, and this deployment demands one"
    remedy = "name a planner in the workflow, or take the app out of the setting planner_required"


class PolicyDenied(Refusal, code="policy_denied", category=Category.FORBIDDEN):
    """Policy does not let this intent in."""

    def __init__(self, policies: tuple[str, ...], reasons: tuple[str, ...], version: str) -> None:
        super().__init__(
            f"policy denies it: {'; '.join(reasons) or 'nothing permits it'}",
            remedy="ask the owner of the named policies",
            policies=list(policies),
            policy_version=version,
        )


class StartsRefused(Refusal, code="starts_refused", category=Category.UNAVAILABLE):
    """No run begins while what it would leave behind cannot be stored; those that run wait for room."""

    reason: str
    says = "nothing can be stored now ({reason}), so no run begins; nothing was written"
    remedy = "free space on the disk of the artifacts, or restart after a failure of it, and repeat"


class KeyReused(Refusal, code="idempotency_key_reused", category=Category.CONFLICT):
    """An idempotency key came again with another request."""

    key: Short
    run: str
    says = "the idempotency key {key!r} was used for another request"
    remedy = "use a new key for a new request"


class AlreadyDecided(Refusal, code="already_decided", category=Category.CONFLICT):
    """Somebody else was first; the decision that stands is in the facts."""

    def __init__(self, approval: str, state: str, by: str, at: str) -> None:
        super().__init__(
            f"approval {approval} is {state} (by {by or 'nobody'})",
            remedy="nothing is left to decide here",
            approval=approval,
            state=state,
            decided_by=by,
            decided_at=at,
        )


class GrantMismatch(Refusal, code="grant_mismatch", category=Category.CONFLICT):
    """A decision names another action than the one that waits."""

    asked: str
    waiting: str
    says = "the approval waits for action {waiting:.16}, not {asked:.16}"
    remedy = "look at the action again and decide on its digest; a grant is never widened"


class ApprovalAltered(Refusal, code="approval_altered", category=Category.CONFLICT):
    """A request is not what was asked when the action was held: its row or its bytes were changed since."""

    approval: str
    run: str
    says = "approval {approval} is not what was asked; it can be neither shown nor decided"
    remedy = "find out who wrote to the database (bailiwick audit verify), and cancel the run {run}"


class NoSuchWorkspace(Refusal, code="no_such_workspace", category=Category.ABSENT):
    """A digest names no workspace of this tenant."""

    tree: Short
    says = "{tree!r} names no workspace"
    remedy = "take what a step of the conflict left (--take STEP), or name a tree that the run's actions show"


class InvalidOutcome(Refusal, code="invalid_outcome", category=Category.INVALID):
    """A worker reports a state that is none of an outcome."""

    state: Short
    says = "{state!r} is no outcome of an action"
    remedy = "report done, failed, canceled, unknown or lost"


class InvalidUsage(Refusal, code="invalid_usage", category=Category.INVALID):
    """A worker reports tokens that cannot be counted."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        shown = [f"{float(count):.3g}" for count in counts]
        super().__init__(
            f"a usage of {', '.join(shown)} tokens (in, out, cached) cannot be counted",
            remedy="report whole numbers from 0 to 2^53 - 1, or no usage: then the reservation is charged",
            counts=shown,
        )


class ReasonMissing(Refusal, code="reason_missing", category=Category.INVALID):
    """An act that somebody will ask about comes without a reason."""

    act: str
    says = "{act} needs a reason"
    remedy = "say why; it is recorded with your name"


class ReasonTooLong(Refusal, code="reason_too_long", category=Category.INVALID):
    """A reason is longer than the record takes."""

    length: int
    limit: int
    says = "the reason has {length} characters, {limit} are kept"
    remedy = "say it shortly; name a ticket, and not what was erased"


class RunNotEnded(Refusal, code="run_not_ended", category=Category.CONFLICT):
    """A run that has not ended may still need what it recorded."""

    run: str
    status: str
    says = "the run {run} is {status}; nothing of it can be erased yet"
    remedy = "wait for its end, or: bailiwick runs cancel {run}"


class ContentsErased(Refusal, code="contents_erased", category=Category.CONFLICT):
    """What an act needs of a run was erased."""

    event: str
    act: str
    says = "{act} may need the content of event {event}, and that was erased"
    remedy = "undo it by hand; the events still say what was done, and when"


class DigestMissing(Refusal, code="digest_missing", category=Category.INVALID):
    """An approval does not say which action was looked at."""

    approval: str
    says = "the approval {approval} was not given for any action: it names no digest"
    remedy = (
        "look at it (bailiwick approvals show {approval}) and name the digest that is shown: --digest DIGEST"
    )


class NotErasable(Refusal, code="not_erasable", category=Category.CONFLICT):
    """There is nothing to erase."""

    place: str
    why: str
    says = "nothing of {place} can be erased: {why}"
    remedy = "the log says who erased what: bailiwick audit export, events of kind payload.erased"


class Unauthenticated(Refusal, code="unauthenticated", category=Category.UNAUTHENTICATED):
    """No key, or none that we know."""

    says = "no valid API key was given"
    remedy = "send Authorization: Bearer KEY; make keys with: bailiwick keys create"


class TenantDisabled(Unauthenticated, code="tenant_disabled"):
    """The key is in force, and its tenant is not."""

    def __init__(self, tenant: str) -> None:
        Refusal.__init__(
            self,
            f"the tenant {tenant} is disabled: its keys are refused and nothing of it starts",
            remedy=f"ask the deployment's operators; they enable it by: bailiwick tenants enable {tenant}",
            tenant=tenant,
        )
