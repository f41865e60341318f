"""The demo's report: what was meant, what was done, who decided, what it cost, and how to prove it."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from bailiwick.audit import EXPORT_FILES, verify_export
from bailiwick.cli.showing import say, show_diff, show_table
from bailiwick.cli.text import money, seconds
from bailiwick.policy import Principal
from bailiwick.run import Run
from bailiwick.service import ApprovalView
from bailiwick.stores import make_folder, write_private
from bailiwick.wiring import Embedded


def heading(text: str) -> None:
    """Print a heading."""
    say("")
    say(f"── {text} " + "─" * max(4, 92 - len(text)), "bold")


def show_approval(view: ApprovalView, *, title: str) -> None:
    """Show what a person decides on: the exact action, its digest, the rule that holds it, cost, evidence."""
    approval = view.approval
    say(f"  run        {approval.run} ({title}), requested by {approval.requested_by}")
    say(f"  action     {approval.capability}  digest {approval.digest}")
    for hold in approval.holds:
        say(f"  held by    {hold['id']}: {hold['reason']} (group {hold['group']})")
    say(f"  cost so far {money(approval.spent_micro_usd)}")
    for evidence in approval.evidence:
        step, _, digest = evidence.rpartition(":")
        say(f"  evidence   {step.ljust(22)} {digest[:16]}…")
    for name, value in view.action["arguments"].items():
        if name not in view.artifacts:
            say(f"  {name.ljust(10)} {value}")
    for name, text in view.artifacts.items():
        say(f"  {name}:")
        show_diff(text)


async def report(system: Embedded, viewer: Principal, run_id: str, repository: Path, folder: Path) -> None:
    """Print the whole report of a finished run."""
    detail = await system.platform.reading.detail(viewer, run_id)
    events = await system.platform.reading.events(viewer, run_id, limit=500)
    heading("Brief (planner, held to a schema)")
    brief = detail.brief if isinstance(detail.brief, dict) else {}
    say(f"  objective    {brief.get('objective', '')}")
    for step in brief.get("steps", ()):
        say(f"  step         {step}")
    for constraint, rule in zip(detail.plan.constraints, detail.plan.rules, strict=True):
        say(f"  constraint   {constraint}  →  rule {rule}")
    heading("Plan (compiled from the workflow, before the run was created)")
    for node in detail.plan.nodes:
        loop = f"  repeat until {node.repeat.until}, at most {node.repeat.max}" if node.repeat else ""
        say(f"  {'  ' if node.parent else ''}{node.id.ljust(12)} {node.uses}{loop}")
    _rules(detail.run, events)
    _verdicts(detail.run)
    await _cost(system, viewer, run_id)
    heading("What landed")
    applied = next(
        (call for call in detail.run.calls.values() if call.capability.startswith("git.apply@")), None
    )
    if applied is not None:
        payload = await system.platform.runs.payload(viewer.tenant, run_id, applied.outcome_seq)
        say(f"  one commit {payload['outcome']['commit']} on {payload['outcome']['branch']} in {repository}")
    await _proof(system, viewer, run_id, folder)


def _rules(run: Run, events: list[dict[str, Any]]) -> None:
    heading("Architect rules (checked on the written files)")
    for event in events:
        for move in event.get("moves", ()):
            for rule in move.get("rules", ()):
                verdict = "; ".join(move["findings"]) if move.get("findings") else "holds"
                say(f"  {move['step'].ljust(22)} {rule.ljust(28)} {verdict}")
    say(f"  reviewed diffs: {', '.join(digest[:16] for digest in run.reviewed) or 'none'}")


def _verdicts(run: Run) -> None:
    heading("Verdicts (every action passed one gate)")
    counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for call in run.calls.values():
        decided = ", ".join(call.policies) + (f", granted by {call.approval}" if call.approval else "")
        counts[call.capability, call.effect, call.state, decided] += 1
    rows = [(str(count), *names) for names, count in sorted(counts.items())]
    show_table(("times", "capability", "class", "state", "policies that decided"), rows)


async def _cost(system: Embedded, viewer: Principal, run_id: str) -> None:
    heading("Tokens and cost by role")
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for posting in await system.platform.reading.cost(viewer, run_id):
        sums = totals[posting.role]
        sums[0] += 1
        sums[1] += posting.input_tokens
        sums[2] += posting.output_tokens
        sums[3] += posting.cost_micro_usd
        sums[4] += posting.duration_ms
    rows = [
        (role, n, given, made, money(cost), seconds(ms))
        for role, (n, given, made, cost, ms) in totals.items()
    ]
    show_table(("role", "calls", "tokens in", "tokens out", "cost", "time"), rows)
    head = await system.platform.reading.head(viewer, run_id)
    say(
        f"  spent {money(head.spent_micro_usd)} of {money(head.allotment_micro_usd)}"
        f"  (feature {head.feature}, team {head.team})"
    )


async def _proof(system: Embedded, viewer: Principal, run_id: str, folder: Path) -> None:
    heading("Proof")
    files = await system.platform.sequencing.export(viewer)
    target = folder / "audit"
    make_folder(target)
    for name, body in files.items():
        write_private(target / name, body)
    read_back = {name: (target / name).read_bytes() for name in EXPORT_FILES if (target / name).is_file()}
    result = verify_export(read_back, trusted=(system.platform.sequencing.signer.vkey,))
    event = await system.platform.reading.event(viewer, run_id, 1)
    proof = await system.platform.sequencing.proof(viewer, run_id, 1, event.header)
    state = "verifies" if result.ok else f"DOES NOT VERIFY: {result.findings}"
    say(f"  {result.covered} events under the signed checkpoint of {result.origin}: {state}")
    say(f"  the run's first event is leaf {proof.index} of {proof.size}; {len(proof.path)} hashes prove it")
    say(f"  exported to {target}; check it with: bailiwick audit verify {target}")
