"""What must hold after any crash: nothing acknowledged is lost, nothing is corrupt, no effect is doubled."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
from crash_shop import RUNS, EffectFile, crash_shop, submit

from bailiwick.audit import verify_export
from bailiwick.policy import Bundle
from bailiwick.run import CallState, Run, Status
from platform_kit import ALICE, System


async def check(folder: Path, bundle: Bundle, say: Any, request: dict[str, Any]) -> None:
    """Open the folder again, hold it to what was acknowledged, drive the runs to their end, count effects."""
    effects = EffectFile(folder / "effects")
    system = System(folder / "system", bundle, crash_shop(folder / "effects"))
    await system.open()
    faults = await lost(system, request["acknowledged"])
    unknown = 0
    absent: list[str] = []
    system.work()
    for n in range(RUNS):
        id = await submit(system, n)
        if any(ack.get("submitted") == n and ack["run"] != id for ack in request["acknowledged"]):
            faults.append(f"the key of run {n} leads to another run")
        run = await system.until(id, at_rest)
        while run.closed is None:
            unknown += 1
            tool, done = await _resolve(system, run, effects)
            faults += [] if tool == "mail" else [f"of run {n} the outcome of {tool} is unknown"]
            absent += [] if done else [str(n)]
            run = await system.until(id, at_rest)
        if run.status is not Status.COMPLETED and str(n) not in absent:
            faults.append(f"run {n} ended as {run.status}: {run.reason}")
    await system.rest()  # a late answer would be written between two looks at a log
    faults += await damaged(system)
    await system.close()
    faults += integrity(folder / "system")
    counts = Counter((tool, n) for tool, n, _ in effects.lines())
    faults += [
        f"{tool} of run {n} happened {count} times" for (tool, n), count in counts.items() if count > 1
    ]
    ought = [str(n) for n in range(RUNS) if str(n) not in absent]
    faults += [f"write of run {n} never happened" for n in ought if not counts["write", n]]
    say({"faults": faults, "unknown": unknown})


def at_rest(run: Run) -> bool:
    """Whether a run has ended, or waits for a person."""
    return run.closed is not None or run.status is Status.BLOCKED


async def _resolve(system: System, run: Run, effects: EffectFile) -> tuple[str, bool]:
    """Be the person who looks at the world and says what happened; answer to which tool, and whether it did."""
    call = next(call for call in run.calls.values() if call.state is CallState.UNKNOWN)
    n = (await system.platform.reading.detail(ALICE, run.id)).intent["input"]["n"]
    tool = call.capability.removeprefix("shop.").partition("@")[0]
    done = any(line[:2] == [tool, n] for line in effects.lines())
    output = {"said": n} if done else None
    await system.platform.control.resolve(
        ALICE, run.id, call.key, done=done, output=output, reason="looked", despite_quarantine=True
    )
    return tool, done


async def lost(system: System, acknowledged: list[dict[str, Any]]) -> list[str]:
    """Name what was acknowledged and is not there."""
    faults = []
    for ack in acknowledged:
        if "stream" not in ack:
            continue
        head = await system.store.views.run("acme", ack["stream"])
        events = await system.store.ledger.events("acme", ack["stream"], 0, 10_000)
        if len(events) < ack["version"] or head is None or head.version != len(events):
            faults.append(f"lost: {ack['stream']} had {ack['version']} events, now {len(events)}")
    return faults


async def damaged(system: System) -> list[str]:
    """Name what the audit log, the events and the trees say that does not hold."""
    faults = []
    for head in await system.platform.reading.runs(ALICE, limit=100):
        run = await system.refolded(head.id)
        events = await system.store.ledger.events("acme", head.id, 0, 10_000)
        if run.version != len(events) or [event.seq for event in events] != list(range(1, len(events) + 1)):
            faults.append(f"{head.id}: the log has gaps")
        gone = [event.seq for event in events if b'"payload"' in event.header and event.payload is None]
        faults += [f"{head.id}.{seq}: its payload is not stored" for seq in gone]
        trees = [call.tree for call in run.calls.values() if call.tree]
        for tree in trees:
            for path, body in (await system.trees.files("acme", tree)).items():
                faults += [] if body else [f"{head.id}: {path} is empty"]
    if await system.platform.reading.runs(ALICE, limit=1):
        report = verify_export(await system.platform.sequencing.export(ALICE))
        faults += [f"audit: {finding.code} {finding.detail}" for finding in report.findings]
    return faults


def integrity(system: Path) -> list[str]:
    """Ask SQLite whether the file is sound."""
    connection = apsw.Connection(str(system / "data" / "ledger.db"))
    try:
        answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()
    return [] if answers == ["ok"] else [f"integrity: {json.dumps(answers)[:300]}"]
