"""What the service refuses, beyond what the kernel does."""

from typing import ClassVar

from bailiwick.base import Category, Json, Refusal

_TOLD = 5


_LISTED = ("run", "approval", "halt", "key")
_WHERE = {
    kind: f"check the id and the key's tenant; list what there is with: bailiwick {kind}s list"
    for kind in _LISTED
}


class NotFound(Refusal):
    """The tenant has no such thing; a foreign tenant's looks exactly the same."""

    code: ClassVar[str] = "not_found"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(
            f"there is no {kind} {id[:80]!r}",
            remedy=_WHERE.get(kind, "check the id and the key's tenant"),
            kind=kind,
            id=id[:80],
        )


class EvidenceUnfit(Refusal):
    """What is said to have been answered is not what the tool's contract promises; nothing was recorded."""

    code: ClassVar[str] = "evidence_unfit"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, capability: str, errors: list[dict[str, str]], form: Json) -> None:
        told = "; ".join(f"{error['pointer'] or '/'}: {error['detail']}" for error in errors[:_TOLD])
        super().__init__(
            f"this is not what {capability} answers: {told}",
            remedy="fill in the form and say it again; or say that it is done without its answer, if nobody has it",
            capability=capability,
            errors=errors,
            form=form,
        )


class NotKept(Refusal):
    """A run holds on to something that is not there any more, so that nobody can go on with it as it was."""

    code: ClassVar[str] = "not_kept"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, capability: str, reason: str) -> None:
        super().__init__(
            f"this run goes on with {capability} as it was when it began: {reason}",
            remedy="restore it from a backup, or load it again as it was",
            capability=capability,
            reason=reason,
        )


class InvalidIntent(Refusal):
    """An intent does not say what an intent must say."""

    code: ClassVar[str] = "invalid_intent"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, pointer: str, detail: str, *, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(
            f"the intent is not valid at {pointer or '/'}: {detail}",
            remedy="correct the field; /openapi.json and docs/api.md show an intent",
            pointer=pointer,
            errors=errors if errors is not None else [{"pointer": pointer, "detail": detail}],
        )


class DeadlineExpired(Refusal):
    """A deadline lies in the past."""

    code: ClassVar[str] = "deadline_expired"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, deadline: str, now: str) -> None:
        super().__init__(
            f"the deadline {deadline} has passed",
            remedy="give a deadline in the future",
            deadline=deadline,
            now=now,
        )


class PlannerRequired(Refusal):
    """The deployment demands a planner of an app's workflows, and this one has none."""

    code: ClassVar[str] = "planner_required"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, app: str, workflow: str) -> None:
        super().__init__(
            f"the workflow {workflow} of {app} names no planner, and this deployment demands one",
            remedy="name a planner in the workflow, or take the app out of the setting planner_required",
            app=app,
            workflow=workflow,
        )


class PolicyDenied(Refusal):
    """Policy does not let this intent in."""

    code: ClassVar[str] = "policy_denied"
    category: ClassVar[Category] = Category.FORBIDDEN

    def __init__(self, policies: tuple[str, ...], reasons: tuple[str, ...], version: str) -> None:
        super().__init__(
            f"policy denies it: {'; '.join(reasons) or 'nothing permits it'}",
            remedy="ask the owner of the named policies",
            policies=list(policies),
            policy_version=version,
        )


class StartsRefused(Refusal):
    """No run begins while what it would leave behind cannot be stored; those that run wait for room."""

    code: ClassVar[str] = "starts_refused"
    category: ClassVar[Category] = Category.UNAVAILABLE

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"nothing can be stored now ({reason}), so no run begins; nothing was written",
            remedy="free space on the disk of the artifacts, or restart after a failure of it, and repeat",
            reason=reason,
        )


class KeyReused(Refusal):
    """An idempotency key came again with another request."""

    code: ClassVar[str] = "idempotency_key_reused"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, key: str, run: str) -> None:
        super().__init__(
            f"the idempotency key {key[:80]!r} was used for another request",
            remedy="use a new key for a new request",
            key=key[:80],
            run=run,
        )


class AlreadyDecided(Refusal):
    """Somebody else was first; the decision that stands is in the facts."""

    code: ClassVar[str] = "already_decided"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, approval: str, state: str, by: str, at: str) -> None:
        super().__init__(
            f"approval {approval} is {state} (by {by or 'nobody'})",
            remedy="nothing is left to decide here",
            approval=approval,
            state=state,
            decided_by=by,
            decided_at=at,
        )


class GrantMismatch(Refusal):
    """A decision names another action than the one that waits."""

    code: ClassVar[str] = "grant_mismatch"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, *, asked: str, waiting: str) -> None:
        super().__init__(
            f"the approval waits for action {waiting[:16]}, not {asked[:16]}",
            remedy="look at the action again and decide on its digest; a grant is never widened",
            asked=asked,
            waiting=waiting,
        )


class ApprovalAltered(Refusal):
    """A request is not what was asked when the action was held: its row or its bytes were changed since."""

    code: ClassVar[str] = "approval_altered"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, approval: str, run: str) -> None:
        super().__init__(
            f"approval {approval} is not what was asked; it can be neither shown nor decided",
            remedy=f"find out who wrote to the database (bailiwick audit verify), and cancel the run {run}",
            approval=approval,
            run=run,
        )


class NoSuchWorkspace(Refusal):
    """A digest names no workspace of this tenant."""

    code: ClassVar[str] = "no_such_workspace"
    category: ClassVar[Category] = Category.ABSENT

    def __init__(self, tree: str) -> None:
        super().__init__(
            f"{tree[:64]!r} names no workspace",
            remedy="take what a step of the conflict left (--take STEP), or name a tree that the run's actions show",
            tree=tree[:64],
        )


class InvalidOutcome(Refusal):
    """A worker reports a state that is none of an outcome."""

    code: ClassVar[str] = "invalid_outcome"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, state: str) -> None:
        super().__init__(
            f"{state[:40]!r} is no outcome of an action",
            remedy="report done, failed, canceled, unknown or lost",
            state=state[:40],
        )


class InvalidUsage(Refusal):
    """A worker reports tokens that cannot be counted."""

    code: ClassVar[str] = "invalid_usage"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, counts: tuple[int, ...]) -> None:
        shown = [f"{float(count):.3g}" for count in counts]
        super().__init__(
            f"a usage of {', '.join(shown)} tokens (in, out, cached) cannot be counted",
            remedy="report whole numbers from 0 to 2^53 - 1, or no usage: then the reservation is charged",
            counts=shown,
        )


class ReasonMissing(Refusal):
    """An act that somebody will ask about comes without a reason."""

    code: ClassVar[str] = "reason_missing"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, act: str) -> None:
        super().__init__(f"{act} needs a reason", remedy="say why; it is recorded with your name", act=act)


class ReasonTooLong(Refusal):
    """A reason is longer than the record takes."""

    code: ClassVar[str] = "reason_too_long"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"the reason has {length} characters, {limit} are kept",
            remedy="say it shortly; name a ticket, and not what was erased",
            length=length,
            limit=limit,
        )


class RunNotEnded(Refusal):
    """A run that has not ended may still need what it recorded."""

    code: ClassVar[str] = "run_not_ended"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, run: str, status: str) -> None:
        super().__init__(
            f"the run {run} is {status}; nothing of it can be erased yet",
            remedy=f"wait for its end, or: bailiwick runs cancel {run}",
            run=run,
            status=status,
        )


class ContentsErased(Refusal):
    """What an act needs of a run was erased."""

    code: ClassVar[str] = "contents_erased"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, event: str, act: str) -> None:
        super().__init__(
            f"{act} may need the content of event {event}, and that was erased",
            remedy="undo it by hand; the events still say what was done, and when",
            event=event,
            act=act,
        )


class DigestMissing(Refusal):
    """An approval does not say which action was looked at."""

    code: ClassVar[str] = "digest_missing"
    category: ClassVar[Category] = Category.INVALID

    def __init__(self, approval: str) -> None:
        super().__init__(
            f"the approval {approval} was not given for any action: it names no digest",
            remedy=f"look at it (bailiwick approvals show {approval}) and name the digest that is shown: --digest DIGEST",
            approval=approval,
        )


class NotErasable(Refusal):
    """There is nothing to erase."""

    code: ClassVar[str] = "not_erasable"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, place: str, why: str) -> None:
        super().__init__(
            f"nothing of {place} can be erased: {why}",
            remedy="the log says who erased what: bailiwick audit export, events of kind payload.erased",
            place=place,
            why=why,
        )


class SessionLost(Refusal):
    """The worker's session has expired or was ended; all its tasks are gone."""

    code: ClassVar[str] = "session_lost"
    category: ClassVar[Category] = Category.CONFLICT

    def __init__(self, session: str) -> None:
        super().__init__(f"session {session} is over", remedy="open a new session", session=session)


class Unauthenticated(Refusal):
    """No key, or none that we know."""

    code: ClassVar[str] = "unauthenticated"
    category: ClassVar[Category] = Category.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__(
            "no valid API key was given",
            remedy="send Authorization: Bearer KEY; make keys with: bailiwick keys create",
        )


class TenantDisabled(Unauthenticated):
    """The key is in force, and its tenant is not."""

    code: ClassVar[str] = "tenant_disabled"

    def __init__(self, tenant: str) -> None:
        Refusal.__init__(
            self,
            f"the tenant {tenant} is disabled: its keys are refused and nothing of it starts",
            remedy=f"ask the deployment's operators; they enable it by: bailiwick tenants enable {tenant}",
            tenant=tenant,
        )
