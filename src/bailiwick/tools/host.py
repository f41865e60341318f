"""The tool host: executes the calls that the gate dispatched, each within its time, its schema and its silence."""

import asyncio
import errno
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import structlog

from bailiwick.app import ToolFailed
from bailiwick.base import Category, Digest, Refusal, canonical
from bailiwick.contract import (
    CapabilityRef,
    Contract,
    EffectClass,
    ErrorCategory,
    InvalidContract,
    WorkspaceUse,
    contract_digest,
    parse_ref,
    probe_fault,
    select_version,
    validator_for,
)
from bailiwick.contract.version import parse_version
from bailiwick.ports import (
    Blobs,
    CallFailed,
    FactsNeed,
    FrameSink,
    Stop,
    StoreUnavailable,
    ToolCall,
    ToolResult,
)
from bailiwick.tools.causes import cause_of
from bailiwick.tools.credentials import RedactedFrames, Redactor

log = structlog.get_logger("bailiwick.tools")
MAX_OUTPUT_BYTES = 262_144
MAX_MESSAGE = 1_000
GRACE_SECONDS = 2.0
_MAX_TRACEBACK = 8_000
_PATIENCE_SECONDS = 1.0
WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)

Implementation = Callable[[ToolCall, FrameSink, Stop], Awaitable[ToolResult]]


class Facts(msgspec.Struct, frozen=True):
    """What policy may know of a tool's actions: the artifacts to read, and a pure function over them.

    `derive` raises a Refusal when the artifacts are not what the tool would accept.
    """

    needs: Callable[[dict[str, Any]], FactsNeed]
    derive: Callable[[dict[str, Any], dict[Digest, bytes]], dict[str, Any]]


class Tool(msgspec.Struct, frozen=True):
    """A contract and what fulfils it.

    An implementation raises a Refusal or a CallFailed when it is certain that nothing was done; any other
    exception of a tool that writes leaves the outcome unknown.
    """

    contract: Contract
    run: Implementation
    facts: Facts | None = None


class UnknownTool(Refusal, code="unknown_tool", category=Category.ABSENT):
    """This host does not have the capability that is asked for."""

    ref: str
    reason: str
    says = "no tool serves {ref}: {reason}"
    remedy = "register the tool in this version, or start a run that pins the one that is registered"


_SAID = {Category.FORBIDDEN: ErrorCategory.DENIED, Category.UNAVAILABLE: ErrorCategory.TRANSIENT}
"""What a refusal inside a tool is to its caller."""


class Tools:
    """Fulfils `ports.ToolHost` with registered tools.

    Args:
        tools: Each name and version once.
        blobs: Takes outputs that are too large to be recorded in an event.
        redactor: Knows the credentials that this host has issued.

    Raises:
        ValueError: Two tools have one name and version.
        InvalidContract: A tool names a probe that is not there, or none.
    """

    def __init__(self, tools: Iterable[Tool], *, blobs: Blobs, redactor: Redactor) -> None:
        self._tools: dict[str, Tool] = {}
        self._digests: dict[str, Digest] = {}
        self._blobs = blobs
        self._redactor = redactor
        self._abandoned: set[asyncio.Task[ToolResult]] = set()
        for tool in tools:
            ref = tool.contract.ref
            if ref in self._tools:
                raise ValueError(f"{ref} is registered twice")
            self._tools[ref] = tool
            self._digests[ref] = contract_digest(tool.contract)

        for tool in self._tools.values():
            self._check_probe(tool.contract)

    def _check_probe(self, contract: Contract) -> None:
        """Hold that a contract's probe is there and can be one.

        Raises:
            InvalidContract: It is not.
        """
        if not contract.probe:
            return
        wanted = parse_ref(contract.probe)
        offered = [each.contract for each in self._tools.values() if each.contract.name == wanted.name]
        chosen = select_version((each.version for each in offered), wanted)
        if chosen is None:
            raise InvalidContract(contract.name, f"its probe {contract.probe} is not offered")
        fault = next(probe_fault(each) for each in offered if each.version == chosen)
        if fault:
            raise InvalidContract(contract.name, f"{contract.probe} is not a probe: {fault}")

    def contracts(self) -> tuple[Contract, ...]:
        """List what this host can execute."""
        return tuple(tool.contract for tool in self._tools.values())

    def facts(self, contract: Contract, arguments: dict[str, Any]) -> FactsNeed | None:
        """Name the artifacts that the tool's facts are computed from; None for a tool without facts."""
        facts = self._find(contract).facts
        return facts.needs(arguments) if facts else None

    def derive_facts(
        self, contract: Contract, arguments: dict[str, Any], artifacts: dict[Digest, bytes]
    ) -> dict[str, Any]:
        """Compute what policy may know of an action.

        Raises:
            CallFailed: The artifacts are missing or not what the tool would accept.
        """
        facts = self._find(contract).facts
        try:
            return facts.derive(arguments, artifacts) if facts else {}
        except Refusal as refusal:
            raise self._told(refusal) from None

    async def execute(self, call: ToolCall, sink: FrameSink, stop: Stop) -> ToolResult:
        """Execute one call.

        Raises:
            CallFailed: No result. `ambiguous` when a tool that writes was stopped, ran out of time, broke, or
                answered with something else than its contract says.
        """
        frames = RedactedFrames(sink, self._redactor)
        try:
            tool = self._find(call.contract)
        except UnknownTool as refusal:
            raise self._told(refusal) from None
        errors = validator_for(tool.contract.input).errors(call.arguments)
        if errors:
            detail = f"{errors[0].pointer} {errors[0].detail}"
            raise self._failed(ErrorCategory.TOOL_FAILED, f"the arguments do not fit the contract: {detail}")
        result = await self._run(tool, call, frames, stop)
        frames.flush()
        return await self._checked(tool, call, result)

    def _find(self, contract: Contract) -> Tool:
        """Find the pinned version, or a later minor or patch of it with the same effect class."""
        exact = self._tools.get(contract.ref)
        if exact is not None:
            if self._digests[contract.ref] != contract_digest(contract):
                raise UnknownTool(contract.ref, "the contract registered under this version has another text")
            return exact
        parts = parse_version(contract.version)
        versions = [
            tool.contract.version for tool in self._tools.values() if tool.contract.name == contract.name
        ]
        chosen = select_version(versions, CapabilityRef(contract.name, parts[:2])) if parts else None
        if chosen is None:
            raise UnknownTool(contract.ref, "neither this version nor a compatible one is registered")
        tool = self._tools[f"{contract.name}@{chosen}"]
        if tool.contract.effect is not contract.effect:
            raise UnknownTool(contract.ref, f"version {chosen} has another effect class")
        return tool

    async def _run(self, tool: Tool, call: ToolCall, frames: FrameSink, stop: Stop) -> ToolResult:
        """Race the implementation against time and stop; what it says on failure is told without secrets."""
        writes = tool.contract.effect in WRITES
        if stop.requested:
            raise self._failed(ErrorCategory.CANCELED, f"canceled before it began: {stop.reason}")
        work = asyncio.ensure_future(_started(tool, call, frames, stop))
        asked = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait(
                {work, asked}, timeout=call.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not work.done():
                await self._interrupt(work)
        except asyncio.CancelledError:
            await self._interrupt(work)
            raise
        finally:
            asked.cancel()
        if work.done() and not work.cancelled():
            error = work.exception()
            if error is None:
                return work.result()
            if not stop.requested or isinstance(error, CallFailed):
                raise self._told(error, ambiguous=writes)
        if stop.requested:
            raise self._failed(ErrorCategory.CANCELED, f"canceled: {stop.reason}", ambiguous=writes)
        raise self._failed(
            ErrorCategory.TIMEOUT, f"no result within {call.timeout_seconds:g} s", ambiguous=writes
        )

    async def _interrupt(self, work: asyncio.Task[ToolResult]) -> None:
        """Cancel a call and give it a moment to clean up; one that ignores it is left to itself."""
        work.cancel()
        await asyncio.wait({work}, timeout=GRACE_SECONDS)
        if not work.done():
            self._abandoned.add(work)
            work.add_done_callback(self._forget)

    def _forget(self, work: asyncio.Task[ToolResult]) -> None:
        self._abandoned.discard(work)
        if not work.cancelled():
            work.exception()  # looked at, so that asyncio does not report it with its text

    async def _checked(self, tool: Tool, call: ToolCall, result: ToolResult) -> ToolResult:
        """Redact an output, bound its size, and hold it to the contract."""
        writes = tool.contract.effect in WRITES
        output = self._redactor.json(result.output)
        try:
            body = canonical(output)
        except TypeError:
            raise self._failed(
                ErrorCategory.INVALID_OUTPUT, "the output is not JSON", ambiguous=writes
            ) from None
        validator = validator_for(tool.contract.output)
        if len(body) > MAX_OUTPUT_BYTES:
            kept = await self._kept(call.tenant, body, writes=writes)
            if not validator.fits(kept):
                raise CallFailed(
                    ErrorCategory.INVALID_OUTPUT,
                    f"the output of {len(body)} bytes is over {MAX_OUTPUT_BYTES}; all of it is artifact {kept['artifact']}",
                    ambiguous=writes,
                    partial=kept,
                )
            output = kept
        errors = validator.errors(output)
        if errors:
            detail = f"the output does not fit the contract: {errors[0].pointer} {errors[0].detail}"
            raise self._failed(ErrorCategory.INVALID_OUTPUT, detail, ambiguous=writes)
        if result.tree is not None and tool.contract.workspace is not WorkspaceUse.WRITES:
            detail = "it changed the workspace, and its contract does not say so"
            raise self._failed(ErrorCategory.INVALID_OUTPUT, detail, ambiguous=writes)
        return ToolResult(output, result.tree)

    async def _kept(self, tenant: str, body: bytes, *, writes: bool) -> dict[str, Any]:
        """Store an output that is too large for an event; that of a write that is done waits until there is room."""
        try:
            digest = await (patiently(self._blobs, tenant, body) if writes else self._blobs.put(tenant, body))
        except StoreUnavailable as refusal:
            raise self._told(refusal) from None
        except Refusal as refusal:
            said = f"the output could not be kept: {refusal.message}"
            category = _SAID.get(refusal.category, ErrorCategory.TOOL_FAILED)
            raise self._failed(category, said, ambiguous=writes) from None
        return {"artifact": digest, "bytes": len(body)}

    def _told(self, error: BaseException, *, ambiguous: bool = False) -> CallFailed:
        """Turn an implementation's exception into a CallFailed that carries nothing but its redacted text."""
        match error:
            case CallFailed():
                return CallFailed(
                    error.category,
                    self._safe(error.message),
                    unsent=error.unsent,
                    unstored=error.unstored,
                    ambiguous=error.ambiguous,
                    retry_after=error.retry_after,
                    partial=self._redactor.json(error.partial),
                )
            case StoreUnavailable():
                said = self._safe(f"{error.code}: {error.message}")
                return CallFailed(ErrorCategory.TRANSIENT, said, unstored=True)
            case OSError(errno=errno.ENOSPC | errno.EDQUOT) if not ambiguous:
                return CallFailed(ErrorCategory.TRANSIENT, self._safe(str(error)), unstored=True)
            case Refusal():
                return self._failed(
                    _SAID.get(error.category, ErrorCategory.TOOL_FAILED),
                    f"{error.code}: {error.message}; {error.remedy}",
                )
            case ToolFailed():
                return CallFailed(
                    error.category,
                    self._safe(error.reason),
                    unsent=error.passes,
                    retry_after=error.retry_after,
                )
            case _:
                where = "".join(traceback.format_exception(error, limit=-20))
                log.warning("tool.broke", traceback=self._redactor.text(where)[-_MAX_TRACEBACK:])
                return self._failed(ErrorCategory.TOOL_FAILED, cause_of(error), ambiguous=ambiguous)

    def _failed(self, category: ErrorCategory, message: str, *, ambiguous: bool = False) -> CallFailed:
        return CallFailed(category, self._safe(message), ambiguous=ambiguous)

    def _safe(self, message: str) -> str:
        """Redact first, cut afterwards: half a credential is not recognised."""
        clean = self._redactor.text(message).encode(errors="replace").decode().replace("\0", "")
        return clean if len(clean) <= MAX_MESSAGE else f"{clean[:MAX_MESSAGE]} …"


async def _started(tool: Tool, call: ToolCall, frames: FrameSink, stop: Stop) -> ToolResult:
    try:
        return await tool.run(call, frames, stop)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("the tool canceled itself") from None
    except (SystemExit, KeyboardInterrupt) as error:
        # They would end the whole server, not the call.
        raise RuntimeError(f"the tool tried to exit: {type(error).__name__} {error}") from None


async def patiently(blobs: Blobs, tenant: str, body: bytes) -> Digest:
    """Store what a write has brought: it cannot be asked for again, so it waits for as long as it must."""
    while True:
        try:
            return await blobs.put(tenant, body)
        except StoreUnavailable as refusal:
            log.warning("tool.output_waits", code=refusal.code, reason=refusal.message)
        await asyncio.sleep(_PATIENCE_SECONDS)
