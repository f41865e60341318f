"""`bailiwick workflows`: check a workflow file before it is used."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bailiwick.cli.doors import Format
from bailiwick.cli.files import Unusable, parse_at, read_text
from bailiwick.cli.showing import Output, say, show_json
from bailiwick.plan import Finding, InvalidWorkflow, NotYet, locate, parse_workflow

group = typer.Typer(help="Check workflow files.", no_args_is_help=True, rich_markup_mode=None)


@group.callback()
def _group() -> None:
    pass


@group.command()
def check(
    file: Annotated[Path, typer.Argument(help="A workflow as JSON (-: standard input).")],
    output: Format = Output.TABLE,
) -> None:
    """Check the form of a workflow file; every fault is named with its line and column."""
    text = read_text(file)
    value = parse_at(str(file), text)
    try:
        workflow = parse_workflow(value)
    except (InvalidWorkflow, NotYet) as refusal:
        places = [_place(str(file), text, finding) for finding in refusal.findings]
        shown = "; ".join(f"{place['place']}: {place['detail']}" for place in places)
        raise Unusable(str(file), shown, refusal.remedy, refused=refusal.code, findings=places) from refusal
    if output is Output.JSON:
        show_json(
            {
                "name": workflow.name,
                "version": workflow.version,
                "steps": [step.id for step in workflow.steps],
            }
        )
    else:
        say(
            f"{file}: {workflow.name}@{workflow.version} is well formed, {len(workflow.steps)} step(s)",
            "green",
        )


def _place(name: str, text: str, finding: Finding) -> dict[str, Any]:
    line, column = locate(text, finding.pointer)
    place = f"{name}:{line}:{column}"
    return {"place": place, "pointer": finding.pointer, "code": finding.code, "detail": finding.detail}
