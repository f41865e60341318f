"""The entry point: `bailiwick COMMAND`; what goes wrong is told in words, never as a traceback."""

import sys

import typer

from bailiwick.cli.exits import ExitCode, exit_of_category
from bailiwick.cli.lazy import LazyGroup

root = typer.Typer(
    cls=LazyGroup,
    name="bailiwick",
    help="A control plane and runtime for AI agents: checked before, recorded as it happens, explainable after.",
    epilog="Exit codes: 0 ok, 1 failed, 2 usage or invalid, 3 waiting for a person, 4 refused.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@root.callback()
def _root() -> None:
    pass


def main() -> None:
    """Run the command line."""
    try:
        root(prog_name="bailiwick")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:  # the last resort: refusals are told in words, anything else is raised again
        sys.exit(_told(error))


def _told(error: Exception) -> int:
    """Tell of a refusal; anything else is a fault of ours, and a fault keeps its traceback."""
    from bailiwick.base import Refusal  # noqa: PLC0415 - help and completion need none of this
    from bailiwick.cli.client import Problem  # noqa: PLC0415
    from bailiwick.cli.showing import show_refusal  # noqa: PLC0415

    match error:
        case Problem():
            show_refusal(code=error.code, message=error.message, remedy=error.remedy, facts=error.facts)
            return error.exit_code
        case Refusal():
            show_refusal(code=error.code, message=error.message, remedy=error.remedy, facts=error.facts)
            return exit_of_category(error.category)
        case _:
            raise error
