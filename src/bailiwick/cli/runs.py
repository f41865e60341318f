"""`bailiwick runs`: submit, list, get, watch, cancel, resume, resolve, rollback, cost, events, replay."""

from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from bailiwick.base import Json
from bailiwick.cli.client import Client, Problem, path_of
from bailiwick.cli.doors import Door, connected
from bailiwick.cli.exits import exit_of_run
from bailiwick.cli.files import Unusable, pairs, parse_at, read_text
from bailiwick.cli.showing import Output, say, show_fields, show_json, show_table
from bailiwick.cli.text import seconds
from bailiwick.cli.timeline import Timeline
from bailiwick.cli.watching import watch
from bailiwick.plan import locate

group = typer.Typer(
    help="Submit, list, watch, cancel, resume, resolve, roll back and replay runs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Run = Annotated[str, typer.Argument(help="The run's id.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@group.command()
@connected
def submit(
    door: Door,
    file: Annotated[
        Path | None, typer.Option(help="The whole intent as a JSON file (-: standard input).")
    ] = None,
    app: Annotated[str, typer.Option(help="The app.")] = "",
    workflow: Annotated[str, typer.Option(help="The workflow.")] = "",
    title: Annotated[str, typer.Option(help="What people will see.")] = "",
    input: Annotated[str, typer.Option(help="The input, as JSON.")] = "",
    constraint: Annotated[list[str] | None, typer.Option(help="A constraint; may be repeated.")] = None,
    budget_usd: Annotated[str, typer.Option(help="The most it may spend, for example 0.50.")] = "",
    deadline_seconds: Annotated[int, typer.Option(help="When it fails, from now.")] = 0,
    priority: Annotated[int, typer.Option(help="Which of your runs go first: -3 to 3.")] = 0,
    label: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    idempotency_key: Annotated[str, typer.Option(help="Submitting again with it finds the same run.")] = "",
    watch_it: Annotated[bool, typer.Option("--watch", help="Watch it at once.")] = False,
) -> None:
    """Submit an intent; flags go over the file."""
    text = read_text(file) if file is not None else "{}"
    intent = _object(str(file), text)
    given: dict[str, Json] = {
        "app": app,
        "workflow": workflow,
        "title": title,
        "input": parse_at("--input", input) if input else "",
        "constraints": constraint if constraint is not None else "",
        "budget_usd": budget_usd,
        "deadline_seconds": deadline_seconds,
        "priority": priority,
        "labels": pairs("--label", label) if label is not None else "",
    }
    intent |= {name: value for name, value in given.items() if value not in ("", 0)}
    key = idempotency_key or str(uuid4())
    try:
        run = door.client.post("/v1/runs", intent, {"Idempotency-Key": key})
    except Problem as problem:
        if file is not None:
            problem.facts |= _place(str(file), text, problem)
        raise
    if watch_it:
        _watch(door, run["id"], wait=True)
    door.show(run, lambda made: say(made["id"]))


def _object(name: str, text: str) -> dict[str, Json]:
    value = parse_at(name, text)
    if not isinstance(value, dict):
        raise Unusable(f"{name}:1:1", "an intent is a JSON object", "docs/api.md shows an intent")
    return value


def _place(name: str, text: str, problem: Problem) -> dict[str, str]:
    """Find the lines that the server's pointers mean."""
    pointers = [str(error["pointer"]) for error in problem.facts.get("errors", ()) if error.get("pointer")]
    places = ["{}:{}:{}".format(name, *locate(text, pointer)) for pointer in pointers]
    return {"place": ", ".join(places)} if places else {}


@group.command("list")
@connected
def list_runs(
    door: Door,
    status: Annotated[str, typer.Option(help="Only runs in this status.")] = "",
    app: Annotated[str, typer.Option(help="Only runs of this app.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=200)] = 50,
    cursor: Annotated[str, typer.Option(help="Go on where an earlier list ended.")] = "",
) -> None:
    """List runs, newest first."""
    page = door.client.get("/v1/runs", status=status, app=app, limit=limit, cursor=cursor)
    door.show(page, _show_runs)


def _show_runs(page: dict[str, Any]) -> None:
    columns = ("RUN", "STATUS", "WORKFLOW", "TITLE", "SPENT", "OF", "CREATED")
    show_table(columns, [_row(run) for run in page["runs"]])
    if page.get("next_cursor"):
        say(f"more with --cursor {page['next_cursor']}", "dim", stderr=True)


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    spent, of = run["budget"]["spent"]["usd"], run["budget"]["limit"]["usd"]
    return run["id"], run["status"], run["workflow"], run["title"], spent, of, run["created_at"]


@group.command()
@connected
def get(door: Door, run: Run) -> None:
    """Show a run: its steps, its money, what it waits for. The exit code tells its status."""
    found = door.client.get(path_of("runs", run))
    door.show(found, _show_run)
    raise typer.Exit(exit_of_run(found["run"]["status"]))


def _show_run(found: dict[str, Any]) -> None:
    run, budget = found["run"], found["run"]["budget"]
    names = (
        "id",
        "status",
        "app",
        "workflow",
        "title",
        "requested_by",
        "waiting_for",
        "created_at",
        "deadline",
    )
    fields = {name: run[name] for name in names}
    fields["reason"] = found["reason"]
    if found["broken"]:
        fields["broken"] = found["broken"]
    fields["budget"] = (
        f"{budget['spent']['usd']} of {budget['limit']['usd']} USD spent, {budget['remaining']['usd']} left"
    )
    show_fields(fields)
    say("")
    rows = [(step["name"], step["status"], step["attempt"], step["reason"]) for step in found["steps"]]
    show_table(("STEP", "STATUS", "ATTEMPT", "REASON"), rows)
    for question in found["questions"]:
        say("")
        say(question["question"], "bold yellow")
        told = ("key", "digest", "arguments", "dispatched_at", "quarantine_until", "evidence")
        show_fields({name: question[name] for name in told})
    if found["ways"]:
        say("")
        _show_ways(found["ways"])
    actions = found["actions"]
    if actions:
        say("")
        columns = ("ACTION", "STEP", "CAPABILITY", "STATE", "USD", "APPROVAL", "REASON")
        show_table(columns, [_action(action) for action in actions])


def _show_ways(ways: list[dict[str, str]], flags: str = "") -> None:
    for way in ways:
        say(f"when {way['when']}:")
        say(f"  {way['command']}{flags}")


def _show_head(run: dict[str, Any]) -> None:
    say(f"{run['id']} {run['status']}")


def _action(action: dict[str, Any]) -> tuple[str, ...]:
    names = ("key", "step", "capability", "state")
    return *(action[name] for name in names), action["cost"]["usd"], action["approval"], action["reason"]


@group.command("watch")
@connected
def watch_run(
    door: Door,
    run: Run,
    wait: Annotated[
        bool, typer.Option(help="Stay while it waits for a person; else leave with exit code 3.")
    ] = True,
) -> None:
    """Watch a run live until its end; the exit code tells how it ended."""
    _watch(door, run, wait=wait)


def _watch(door: Door, run: str, *, wait: bool) -> None:
    def pause(timeline: Timeline) -> bool:
        tell_rest(door.client, run, timeline)
        return wait

    timeline = watch(door.client, run, pause)
    if door.output is Output.JSON:
        show_json(door.client.get(path_of("runs", run)))
    raise typer.Exit(exit_of_run(timeline.status))


def tell_rest(client: Client, run: str, timeline: Timeline, flags: str = "", identity: str = "NAME") -> None:
    """Say what a resting run waits for, and what to type."""
    if timeline.status == "blocked":
        say(f"the run is blocked: {timeline.reason}", "bold yellow")
        _show_ways(client.get(path_of("runs", run))["ways"], flags)
        return
    say(
        f"the run waits for a person: {timeline.approvals.get(timeline.approval, 'an action')} is held",
        "bold yellow",
    )
    say(f"  look at it:  bailiwick approvals show {timeline.approval}{flags}")
    seen = f"--digest {timeline.digests.get(timeline.approval, 'DIGEST')}"
    say(
        f"  decide it:   bailiwick approvals approve {timeline.approval}{flags} --as {identity} {seen}  (or: reject)"
    )


@group.command()
@connected
def cancel(door: Door, run: Run, reason: Reason = "") -> None:
    """Ask a run to end."""
    done = door.client.post(path_of("runs", run, ":cancel"), {"reason": reason})
    door.show(done, _show_head)


@group.command()
@connected
def resume(
    door: Door,
    run: Run,
    add_usd: Annotated[str, typer.Option(help="Add this much to its budget.")] = "",
    step: Annotated[str, typer.Option(help="Only this step.")] = "",
) -> None:
    """Let a blocked run go on."""
    body = {name: value for name, value in (("add_usd", add_usd), ("step", step)) if value}
    done = door.client.post(path_of("runs", run, ":resume"), body)
    door.show(done, _show_head)


@group.command()
@connected
def resolve(
    door: Door,
    run: Run,
    done: Annotated[
        bool | None,
        typer.Option("--done/--failed", "--done/--not-done", help="Whether it happened.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option(help="How you know.")] = "",
    action: Annotated[
        str,
        typer.Argument(
            metavar="[KEY]",
            help="The action, or the step of a compensation done by hand or of a conflict; "
            "left out when there is one question.",
        ),
    ] = "",
    step: Annotated[str, typer.Option(help="Instead of KEY: the step whose action it is.")] = "",
    result: Annotated[str, typer.Option(help="What it answered, as JSON; see --form.")] = "",
    reference: Annotated[str, typer.Option(help="What it is found by at the other side.")] = "",
    despite_quarantine: Annotated[
        bool, typer.Option("--despite-quarantine", help="It may still arrive, and you know that.")
    ] = False,
    form: Annotated[
        bool, typer.Option("--form", help="Print the form of its answer, to fill in; do nothing.")
    ] = False,
    take: Annotated[str, typer.Option(help="For a step in conflict: go on with what this step left.")] = "",
    tree: Annotated[str, typer.Option(help="For a step in conflict: go on with this stored workspace.")] = "",
) -> None:
    """Say what became of an action whose outcome is unknown, or with which workspace a step in conflict goes on."""
    if take or tree:
        choice: dict[str, Json] = {"step": action or step, "take": take, "tree": tree}
        door.show(door.client.post(path_of("runs", run, ":choose"), choice), _show_head)
        return
    questions = [] if action and not form else door.client.get(path_of("runs", run))["questions"]
    if form:
        meant = [question for question in questions if action in ("", question["key"])]
        key = _asked(meant, step)
        show_json(next(question["form"] for question in meant if question["key"] == key))
        return
    if done is None or not reason:
        missing = "--done or --failed" if done is None else "--reason"
        raise Unusable(
            missing, "it is needed", "say what happened, and how you know; --form shows what to fill in"
        )
    key = action or _asked(questions, step)
    body: dict[str, Json] = {"key": key, "done": done, "reason": reason}
    if despite_quarantine:
        body["despite_quarantine"] = True
    if reference:
        body["reference"] = reference
    if result:
        body["output"] = parse_at("--result", result)
    answered = door.client.post(path_of("runs", run, ":resolve"), body)
    door.show(answered, _show_head)


def _asked(questions: list[dict[str, Any]], step: str) -> str:
    """Find the one action that is meant."""
    meant = [question["key"] for question in questions if step in ("", question["step"])]
    if len(meant) != 1:
        raise Unusable("KEY", f"{len(meant)} actions have an unknown outcome here", "name one: runs get RUN")
    return str(meant[0])


@group.command()
@connected
def rollback(door: Door, run: Run, reason: Annotated[str, typer.Option(help="Why, for the record.")]) -> None:
    """Undo what a run did, the last first, by the compensations of its plan."""
    done = door.client.post(path_of("runs", run, ":rollback"), {"reason": reason})
    door.show(done, _show_head)


@group.command()
@connected
def cost(door: Door, run: Run) -> None:
    """Show what a run has cost, call by call and role by role."""
    door.show(door.client.pages(path_of("runs", run, "/cost"), "lines"), show_cost)


def show_cost(cost: dict[str, Any]) -> None:
    """Print the lines of a run's cost, and the sums by role."""
    columns = ("STEP", "ROLE", "CAPABILITY", "USD", "IN", "OUT", "TOKENS ARE", "ENDED", "TOOK")
    show_table(columns, [_line(line) for line in cost["lines"]])
    for told in dict.fromkeys(_claimed(line) for line in cost["lines"] if line["usage_source"] == "capped"):
        say(told, "yellow")
    prices = dict.fromkeys(line["price"] for line in cost["lines"] if line["price"])
    if prices:
        say(f"prices: {'; '.join(prices)}")
    say("")
    by_role = [
        (role["role"], role["calls"], role["cost"]["usd"], role["input_tokens"], role["output_tokens"])
        for role in cost["by_role"]
    ]
    show_table(("ROLE", "CALLS", "USD", "IN", "OUT"), by_role)
    left = cost["budget"]["remaining"]["usd"]
    say(f"total {cost['total']['usd']} of {cost['budget']['limit']['usd']} USD, {left} left", "bold")


def _claimed(line: dict[str, Any]) -> str:
    claimed = f"{line['claimed_input_tokens']} tokens in and {line['claimed_output_tokens']} out"
    return f"{line['step']}: the provider claims {claimed}; charged is the most that can have been used"


def _line(line: dict[str, Any]) -> tuple[object, ...]:
    names = ("input_tokens", "output_tokens", "usage_source", "ended")
    first = (line["step"], line["role"], line["capability"], line["cost"]["usd"])
    return *first, *(line[name] for name in names), seconds(line["duration_ms"])


@group.command()
@connected
def replay(
    door: Door,
    run: Annotated[str, typer.Argument(help="The run's id.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every run of the tenant.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="A transcript that was saved before; no server is asked for it.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Also keep the run's transcript in this file.")] = None,
) -> None:
    """Fold a run's log and decide every recorded decision again. Exit code 1 when anything differs."""
    from bailiwick.cli.replaying import replay_runs  # noqa: PLC0415 - the other commands need no policy engine

    replay_runs(door, run, export, save, every=every)


@group.command()
@connected
def events(
    door: Door,
    run: Run,
    after: Annotated[int, typer.Option(help="Only events after this one.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=500)] = 500,
) -> None:
    """List a run's events."""
    door.show(door.client.get(path_of("runs", run, "/events"), after=after, limit=limit), _show_events)


def _show_events(page: dict[str, Any]) -> None:
    timeline = Timeline()
    rows = []
    for event in page["events"]:
        told = "; ".join(line.text for line in timeline.apply(event))
        rows.append((event["seq"], event["kind"], event.get("actor", ""), told))
    show_table(("SEQ", "KIND", "ACTOR", "WHAT"), rows)
