"""Rows: how the structs of the ports become table rows and come back."""

from typing import Any, Final

import msgspec

from bailiwick.audit import Joining
from bailiwick.ports import (
    Able,
    ApiKey,
    Approval,
    ApprovalState,
    Halt,
    Identity,
    IdentityChange,
    MoveApproval,
    MoveTask,
    RunHead,
    Taking,
    Task,
    TaskState,
    TreeHead,
)

Row = tuple[Any, ...]

as_row = msgspec.structs.astuple
"""A struct whose fields are all scalars is its row: the statements name the columns in the same order."""

_json = msgspec.json.encode
_HASH_BYTES: Final = 32
_strings: Final = msgspec.json.Decoder(tuple[str, ...])
_able: Final = msgspec.json.Decoder(tuple[Able, ...])
_holds: Final = msgspec.json.Decoder(tuple[dict[str, str], ...])


def task_move(move: MoveTask) -> Row:
    """Lay out `move_task`."""
    task = move.task
    return (
        task.step,
        task.call,
        task.capability,
        task.pool,
        task.priority,
        task.state,
        task.epoch,
        task.session,
        task.due_at,
        task.timeout_at,
        task.since,
        task.tenant,
        task.id,
        task.run,
        move.from_state,
        move.from_epoch,
    )


def task_end(move: MoveTask) -> Row:
    """Lay out `finish_task`."""
    task = move.task
    return (task.tenant, task.id, task.run, move.from_state, move.from_epoch)


def approval_row(approval: Approval) -> Row:
    """Lay out `insert_approval`."""
    row = list(as_row(approval))
    row[8], row[9], row[19] = _text(approval.groups), _text(approval.holds), _text(approval.evidence)
    row[23] = _text(approval.able)
    return tuple(row)


def approval_move(move: MoveApproval) -> Row:
    """Lay out `move_approval`."""
    approval = move.approval
    return (
        approval.seq,
        _text(approval.groups),
        _text(approval.holds),
        approval.policy_version,
        approval.expires_at,
        approval.state,
        approval.decided_by,
        approval.decided_at,
        approval.reason,
        approval.spent_micro_usd,
        _text(approval.evidence),
        approval.decider,
        approval.decider_key,
        _text(approval.able),
        approval.tenant,
        approval.id,
        approval.run,
        move.from_state,
        approval.digest,
        move.unexpired,
        move.since,
    )


def identity_row(identity: Identity) -> Row:
    """Lay out `upsert_identity`."""
    row = list(as_row(identity))
    row[5] = _text(identity.groups)
    return tuple(row)


def identity_change_row(change: IdentityChange) -> Row:
    """Lay out `insert_identity_change`."""
    return (
        change.id,
        change.tenant,
        change.identity,
        change.key,
        change.what,
        change.detail,
        change.at,
        change.by_identity,
        change.by_key,
    )


def taking_row(taking: Taking) -> Row:
    """Lay out `take_budget`."""
    return (taking.day, taking.micro_usd, taking.tenant, taking.budget)


def returning_row(taking: Taking) -> Row:
    """Lay out `return_budget`."""
    return (taking.micro_usd, taking.tenant, taking.budget, taking.day)


def to_task(row: Row) -> Task:
    """Read a row of `tasks`."""
    values = list(row)
    values[8] = TaskState(values[8])
    return Task(*values)


def to_approval(row: Row) -> Approval:
    """Read a row of `approvals`."""
    values = list(row)
    values[8], values[9] = _strings.decode(values[8]), _holds.decode(values[9])
    values[14] = ApprovalState(values[14])
    values[19] = _strings.decode(values[19])
    values[23] = _able.decode(values[23])
    return Approval(*values)


def to_key(row: Row) -> ApiKey:
    """Read a row of `keys`."""
    return ApiKey(*row)


def to_identity(row: Row) -> Identity:
    """Read a row of `identities`."""
    values = list(row)
    values[5] = _strings.decode(values[5])
    return Identity(*values)


def to_identity_change(row: Row) -> IdentityChange:
    """Read a row of `identity_changes`."""
    id, tenant, identity, key, what, detail, at, by_identity, by_key = row
    return IdentityChange(id, tenant, identity, what, detail, at, key, by_identity, by_key)


def to_run(row: Row) -> RunHead:
    """Read a row of `runs`."""
    return RunHead(*row)


def to_halt(row: Row) -> Halt:
    """Read a row of `halts`."""
    return Halt(*row)


def to_joining(row: Row) -> Joining:
    """Read an event that waits for its index, with what it continues."""
    tenant, stream, seq, leaf, header, before, begun, placed, overtaken = row
    return Joining(tenant, stream, seq, leaf, header, before, bool(begun), bool(placed), bool(overtaken))


def to_head(row: Row) -> TreeHead:
    """Read a log's name, size, frontier and note."""
    log, size, frontier, note = row
    hashes = tuple(frontier[at : at + _HASH_BYTES] for at in range(0, len(frontier), _HASH_BYTES))
    return TreeHead(log, size, hashes, note)


def _text(value: object) -> str:
    return _json(value).decode()
