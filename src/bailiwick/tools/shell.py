"""The shell tool: runs one allowed command in the sandbox, on a copy of the workspace."""

from bailiwick.base import Category, Refusal, Short
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind, WorkspaceUse
from bailiwick.ports import CallFailed, FrameSink, Sandbox, SandboxJob, Stop, ToolCall, ToolResult
from bailiwick.tools.checkout import Checkouts
from bailiwick.tools.host import Tool
from bailiwick.tools.workspace import Workspaces

COMMANDS = ("python", "pytest", "ls", "cat", "grep")
MAX_SHOWN = 16_384
_SANDBOX_BYTES = 1_048_576
_MARGIN_SECONDS = 5.0


class CommandRefused(Refusal, code="command_refused", category=Category.FORBIDDEN):
    """A command is not among those that this app lets agents run."""

    command: Short
    allowed: tuple[str, ...]
    spoken = ("allowed",)
    says = "the command {command!r} is not allowed"
    remedy = "use one of: {allowed!l}"


class ShellTool:
    """`shell.run` for one app.

    A command that fails is a result, not an error: red tests are there to be read.

    Args:
        workspaces: Names the empty tree of a run without one.
        checkouts: Lays the workspace out for the sandbox.
        sandbox: Runs the command.
        commands: What `argv[0]` may be: bare names, found in the sandbox.
        timeout_seconds: Of the whole call; the command gets a little less.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        checkouts: Checkouts,
        sandbox: Sandbox,
        *,
        commands: tuple[str, ...] = COMMANDS,
        timeout_seconds: int = 120,
    ) -> None:
        self._workspaces = workspaces
        self._checkouts = checkouts
        self._sandbox = sandbox
        self._commands = commands
        self._contract = _contract(commands, timeout_seconds)

    def tools(self) -> tuple[Tool, ...]:
        """List it for the host's registry."""
        return (Tool(self._contract, self._run),)

    async def _run(self, call: ToolCall, sink: FrameSink, stop: Stop) -> ToolResult:
        argv = tuple(call.arguments["argv"])
        if argv[0] not in self._commands:
            raise CommandRefused(argv[0], self._commands)
        tree = call.tree if call.tree is not None else await self._workspaces.empty(call.tenant)
        job = SandboxJob(
            argv=argv,
            files=await self._checkouts.materialise(call.tenant, tree),
            wall_seconds=max(call.timeout_seconds - _MARGIN_SECONDS, 1.0),
            output_bytes=_SANDBOX_BYTES,
        )
        result = await self._sandbox.run(job, sink, stop)
        if result.ended_by == "stop":
            raise CallFailed(ErrorCategory.CANCELED, f"canceled: {stop.reason}")
        output = result.output.replace("\0", "\N{REPLACEMENT CHARACTER}")
        return ToolResult(
            {
                "exit_code": result.exit_code,
                "output": output[-MAX_SHOWN:],
                "truncated": len(output) > MAX_SHOWN or result.ended_by == "output",
                "ended_by": result.ended_by,
                "wall_ms": result.wall_ms,
            }
        )


def _contract(commands: tuple[str, ...], timeout_seconds: int) -> Contract:
    fields = {
        "exit_code": {"type": "integer"},
        "output": {"type": "string", "description": "stdout and stderr, the end of it when it is long"},
        "truncated": {"type": "boolean"},
        "ended_by": {"enum": ["exit", "wall", "output", "memory"]},
        "wall_ms": {"type": "integer", "minimum": 0},
    }
    return Contract(
        name="shell.run",
        version="1.0.0",
        kind=Kind.TOOL,
        effect=EffectClass.READ_ONLY,
        summary=f"Run a command in the sandbox on a copy of the workspace, without network: {', '.join(commands)}",
        tags=("sandbox",),
        workspace=WorkspaceUse.READS,
        timeout_seconds=timeout_seconds,
        failure_modes=(ErrorCategory.TIMEOUT, ErrorCategory.DENIED, ErrorCategory.INTERNAL),
        input={
            "type": "object",
            "properties": {
                "argv": {
                    "type": "array",
                    "prefixItems": [{"enum": list(commands)}],
                    "items": {"type": "string", "maxLength": 4096},
                    "minItems": 1,
                    "maxItems": 64,
                    "description": "the command and its arguments; no shell reads them",
                }
            },
            "required": ["argv"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        },
    )
