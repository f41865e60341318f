"""`bailiwick approvals`: list, show (the exact diff), approve, reject."""

from typing import Annotated, Any

import typer

from bailiwick.base import canonical, digest_of
from bailiwick.cli.client import path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.showing import say, show_diff, show_fields, show_lines, show_table
from bailiwick.service import ApprovalAltered, shown_of

group = typer.Typer(
    help="See what waits for people, and decide it.", no_args_is_help=True, rich_markup_mode=None
)

Approval = Annotated[str, typer.Argument(help="The approval's id.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Digest = Annotated[
    str, typer.Option(help="The action that you looked at, as it is shown; another one is refused.")
]


@group.command("list")
@connected
def list_approvals(
    door: Door,
    state: Annotated[
        str, typer.Option(help="pending, approved, rejected, expired, withdrawn, consumed.")
    ] = "pending",
    run: Annotated[str, typer.Option(help="Only those of this run.")] = "",
) -> None:
    """List approvals, oldest first."""
    door.show(door.client.pages("/v1/approvals", "approvals", state=state, run=run), _show_list)


def _show_list(page: dict[str, Any]) -> None:
    names = ("id", "state", "capability", "run", "step", "requested_by", "expires_at")
    last = ("ESCALATED TO", "DECIDED BY")
    columns = ("APPROVAL", "STATE", "ACTION", "RUN", "STEP", "REQUESTED BY", "EXPIRES", *last)
    rows = page["approvals"]
    show_table(
        columns,
        [[*(row[name] for name in names), ", ".join(row["escalated_to"]), row["decided_by"]] for row in rows],
    )


@group.command()
@connected
def show(door: Door, approval: Approval) -> None:
    """Show what would run: the action's exact bytes, the diff, the rule that holds it, the cost, the evidence."""
    door.show(door.client.get(path_of("approvals", approval)), show_approval)


def show_approval(found: dict[str, Any]) -> None:
    """Print an approval in full, from the bytes that its digest names.

    Raises:
        ApprovalAltered: What came is not the action of that digest.
    """
    row, run = found["approval"], found["run"]
    if not found["erased"] and digest_of(canonical(found["action"])) != row["digest"]:
        raise ApprovalAltered(row["id"], run["id"])
    fields = {name: row[name] for name in ("id", "state", "capability", "digest", "step", "requested_by")}
    fields |= {
        name: row[name] for name in ("requested_at", "expires_at", "decided_by", "decided_at", "reason")
    }
    for able in row["able"]:
        fields[f"able by {able['what']}"] = f"{able['detail']}, by {able['by']} at {able['at']}"
    fields["run"] = f"{run['id']} ({run['workflow']}, {run['status']}): {run['title']}"
    fields["spent"] = f"{run['spent']['usd']} USD so far"
    fields["groups"] = ", ".join(row["groups"])
    if row["escalated_to"]:
        fields["escalated_to"] = ", ".join(row["escalated_to"])
    fields["policy"] = row["policy_version"]
    show_fields(fields)
    for hold in row["holds"]:
        say(f"held by {hold['id']} ({hold['group']}): {hold['reason']}", "yellow")
        if hold["escalate_to"]:
            say(f"  {hold['escalate_to']} may answer as well from {hold['escalate_at']} on", "yellow")
    for digest in row["evidence"]:
        say(f"evidence  {digest}", "dim")
    if found["erased"]:
        say("the action's bytes were erased; the log says by whom", "yellow")
        return
    shown = shown_of(found["action"], found["artifacts"])
    say("\naction, as the platform wrote it", "bold")
    show_lines(shown.action)
    say("\narguments, written by an agent or taken from outputs", "bold")
    show_lines(shown.arguments)
    if shown.careful:
        say("careful: a text of this action holds characters that do not show", "bold red")
    for name, text in found["artifacts"].items():
        say(f"\n{name}, written by an agent", "bold")
        show_diff(text)


@group.command()
@connected
def approve(door: Door, approval: Approval, reason: Reason = "", digest: Digest = "") -> None:
    """Let the action run, once and exactly as shown; `--digest` says what you looked at."""
    _decide(door, approval, "approve", reason, digest)


@group.command()
@connected
def reject(door: Door, approval: Approval, reason: Reason = "", digest: Digest = "") -> None:
    """Refuse the action; its step fails."""
    _decide(door, approval, "reject", reason, digest)


def _decide(door: Door, approval: str, verb: str, reason: str, digest: str) -> None:
    body = {name: value for name, value in (("reason", reason), ("digest", digest)) if value}
    decided = door.client.post(path_of("approvals", approval, f":{verb}"), body)
    door.show(decided, _show_decided)


def _show_decided(row: dict[str, Any]) -> None:
    say(f"{row['id']} is {row['state']} by {row['decided_by']}: {row['capability']} {row['digest']}")
