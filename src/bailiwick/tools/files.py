"""The file tools: list, read and change the files of the run's workspace, and nothing elsewhere."""

from typing import Any

from bailiwick.base import Category, Digest, Long, Refusal, Short, digest_of
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind, WorkspaceUse
from bailiwick.ports import FrameSink, Stop, ToolCall, ToolResult
from bailiwick.tools.differ import split_lines
from bailiwick.tools.host import Tool
from bailiwick.tools.lookalikes import nearest
from bailiwick.tools.patch import NotText, is_text
from bailiwick.tools.workspace import Workspaces

MAX_LISTED = 1_000
MAX_READ_BYTES = 65_536
_PATH = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "description": "relative path, parts joined by /",
}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


class NoUniqueMatch(Refusal, code="no_unique_match", category=Category.CONFLICT):
    """A text to replace does not stand in the file exactly once."""

    path: str
    count: int
    says = "the text to replace stands {count} times in {path!r}, not once"
    remedy = "read the file again and give more of the surrounding lines, exactly as they are"


class WrittenOtherwise(Refusal, code="written_otherwise", category=Category.CONFLICT):
    """A text to replace stands in the file, but in other characters that look alike."""

    path: str
    differs: Short
    text: Long
    says = "the text to replace stands in {path!r} with other {differs}: {text!r}"
    remedy = "give the text as it is quoted here"


class FileTools:
    """The tools over one store of workspaces."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    def tools(self) -> tuple[Tool, ...]:
        """List them for the host's registry."""
        return (
            Tool(_LIST, self._list),
            Tool(_READ, self._read),
            Tool(_WRITE, self._write),
            Tool(_EDIT, self._edit),
            Tool(_DELETE, self._delete),
            Tool(_MOVE, self._move),
            Tool(_MODE, self._mode),
        )

    async def _list(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        folder = str(call.arguments.get("folder", "")).rstrip("/")
        files = await self._workspaces.list(call.tenant, await self._tree(call))
        paths = [file.path for file in files if not folder or file.path.startswith(f"{folder}/")]
        return ToolResult({"paths": paths[:MAX_LISTED], "total": len(paths)})

    async def _read(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        path = call.arguments["path"]
        body = await self._workspaces.read(call.tenant, await self._tree(call), path)
        if not is_text(body):
            raise NotText(path)
        lines = split_lines(body)
        first = int(call.arguments.get("first_line", 1))
        shown: list[bytes] = []
        size = 0
        for line in lines[first - 1 : first - 1 + int(call.arguments.get("lines", len(lines)))]:
            size += len(line)
            if size > MAX_READ_BYTES:
                break
            shown.append(line)
        text = b"".join(shown).decode()
        return ToolResult(
            {
                "text": text,
                "first_line": first,
                "lines": len(shown),
                "total_lines": len(lines),
                "digest": digest_of(body),
            }
        )

    async def _write(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        return await self._change(call, call.arguments["text"].encode())

    async def _edit(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        path = call.arguments["path"]
        before = await self._workspaces.read(call.tenant, await self._tree(call), path)
        if not is_text(before):
            raise NotText(path)
        old, new = call.arguments["old"].encode(), call.arguments["new"].encode()
        if b"\r\n" in before and b"\r" not in old and b"\n" in old and old not in before:
            # Models write plain line ends: where the file has the others, they are meant.
            old, new = old.replace(b"\n", b"\r\n"), new.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        at = before.find(old)
        if at < 0:
            near = nearest(before.decode(), old.decode())
            if near is not None:
                raise WrittenOtherwise(path, *near)
        if at < 0 or before.find(old, at + 1) >= 0:
            raise NoUniqueMatch(path, _occurrences(before, old))
        return await self._change(call, before[:at] + new + before[at + len(old) :])

    async def _delete(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        path = call.arguments["path"]
        return ToolResult(
            {"path": path}, await self._workspaces.write(call.tenant, await self._tree(call), {path: None})
        )

    async def _move(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        path, to = call.arguments["path"], call.arguments["to"]
        tree = await self._workspaces.move(call.tenant, await self._tree(call), path, to)
        return ToolResult({"path": path, "to": to}, tree)

    async def _mode(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        path, executable = call.arguments["path"], bool(call.arguments["executable"])
        tree = await self._workspaces.mark(call.tenant, await self._tree(call), path, executable=executable)
        return ToolResult({"path": path, "executable": executable}, tree)

    async def _change(self, call: ToolCall, body: bytes) -> ToolResult:
        path = call.arguments["path"]
        tree = await self._workspaces.write(call.tenant, await self._tree(call), {path: body})
        return ToolResult({"path": path, "bytes": len(body), "digest": digest_of(body)}, tree)

    async def _tree(self, call: ToolCall) -> Digest:
        return call.tree if call.tree is not None else await self._workspaces.empty(call.tenant)


def _occurrences(body: bytes, text: bytes) -> int:
    """Count overlapping occurrences: each one is a place that could be meant."""
    count = 0
    at = body.find(text)
    while at >= 0:
        count += 1
        at = body.find(text, at + 1)
    return count


def _contract(
    name: str,
    summary: str,
    arguments: dict[str, Any],
    output: dict[str, Any],
    *,
    writes: bool = False,
    optional: tuple[str, ...] = (),
) -> Contract:
    return Contract(
        name=name,
        version="1.0.0",
        kind=Kind.TOOL,
        effect=EffectClass.READ_ONLY,
        summary=summary,
        workspace=WorkspaceUse.WRITES if writes else WorkspaceUse.READS,
        timeout_seconds=30,
        tags=("workspace",),
        failure_modes=(ErrorCategory.TOOL_FAILED,),
        input={
            "type": "object",
            "properties": arguments,
            "required": [key for key in arguments if key not in optional],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": output,
            "required": list(output),
            "additionalProperties": False,
        },
    )


_COUNT = {"type": "integer", "minimum": 0}
_CHANGED = {"path": _PATH, "bytes": _COUNT, "digest": _DIGEST}
_LIST = _contract(
    "files.list",
    "List the paths of the workspace, or of one folder in it",
    {"folder": {**_PATH, "minLength": 0}},
    {"paths": {"type": "array", "items": _PATH}, "total": _COUNT},
    optional=("folder",),
)
_READ = _contract(
    "files.read",
    f"Read a text file of the workspace, or some lines of it; at most {MAX_READ_BYTES} bytes at a time",
    {
        "path": _PATH,
        "first_line": {"type": "integer", "minimum": 1, "maximum": 2_000_000},
        "lines": {"type": "integer", "minimum": 1, "maximum": 2_000_000},
    },
    {
        "text": {"type": "string"},
        "first_line": _COUNT,
        "lines": _COUNT,
        "total_lines": _COUNT,
        "digest": _DIGEST,
    },
    optional=("first_line", "lines"),
)
_WRITE = _contract(
    "files.write",
    "Write a whole text file of the workspace; creates it and its folders when they are not there",
    {"path": _PATH, "text": {"type": "string", "maxLength": 1_048_576}},
    _CHANGED,
    writes=True,
)
_EDIT = _contract(
    "files.edit",
    "Replace a text that stands exactly once in a file of the workspace",
    {
        "path": _PATH,
        "old": {"type": "string", "minLength": 1, "maxLength": 1_048_576},
        "new": {"type": "string", "maxLength": 1_048_576},
    },
    _CHANGED,
    writes=True,
)
_DELETE = _contract(
    "files.delete", "Delete a file of the workspace", {"path": _PATH}, {"path": _PATH}, writes=True
)
_MOVE = _contract(
    "files.move",
    "Give a file of the workspace another path; its content and mode stay",
    {"path": _PATH, "to": _PATH},
    {"path": _PATH, "to": _PATH},
    writes=True,
)
_MODE = _contract(
    "files.mode",
    "Make a file of the workspace executable, or not",
    {"path": _PATH, "executable": {"type": "boolean"}},
    {"path": _PATH, "executable": {"type": "boolean"}},
    writes=True,
)
