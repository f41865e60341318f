"""The executor: runs what the gate dispatched, on the host that can, and says what became of it."""

import asyncio
from collections.abc import Mapping

import structlog
from msgspec.structs import replace

from bailiwick.base import Digest, digest_of, parse_canonical
from bailiwick.contract import Contract, EffectClass, ErrorCategory, contract_digest
from bailiwick.ports import (
    CallFailed,
    Dispatch,
    FrameSink,
    ModelHost,
    ModelRequest,
    Outcome,
    Stop,
    ToolCall,
    ToolHost,
    ToolResult,
)
from bailiwick.worker.wire import reply_value

log = structlog.get_logger("bailiwick.worker")
MAX_TRIES = 3
MAX_RETRY_SECONDS = 30.0
UNSTORED_SECONDS = 1.0
HALT_GRACE_SECONDS = 5.0
_WRITES = (EffectClass.IDEMPOTENT_WRITE, EffectClass.EXTERNAL_ACTION)


class Executor:
    """Executes dispatches; retries only what is proven to have done nothing."""

    def __init__(self, *, tools: ToolHost, models: ModelHost) -> None:
        self._tools = tools
        self._models = models
        self._contracts: Mapping[str, Contract] = {contract.ref: contract for contract in tools.contracts()}
        self._pins = {ref: contract_digest(contract) for ref, contract in self._contracts.items()}

    async def execute(
        self, dispatch: Dispatch, request: ModelRequest | None, sink: FrameSink, stop: Stop
    ) -> Outcome:
        """Execute one dispatch to its outcome; never raises for what the other side does."""
        begun = _clock()
        fault = self._fault(dispatch, request)
        if fault:
            refused = CallFailed(ErrorCategory.INTERNAL, fault, unsent=True)
            return self._failed(dispatch, refused, stop, begun, 0)
        tries = 0
        while not stop.requested:
            tries += 1
            try:
                return await self._once(dispatch, request, sink, stop, begun, tries)
            except CallFailed as failed:
                if failed.unstored:
                    # Nobody's failure: it is done again once there is room, and until then the step waits.
                    log.warning("call.waits_for_store", capability=dispatch.capability, reason=failed.message)
                    tries -= 1
                    await _pause(UNSTORED_SECONDS, stop)
                    continue
                wait = failed.retry_after if failed.retry_after is not None else 0.2 * 2**tries
                spent = _clock() - begun
                again = failed.unsent and tries < MAX_TRIES and spent + wait < MAX_RETRY_SECONDS
                if not again or stop.requested:
                    return self._failed(dispatch, failed, stop, begun, 0 if failed.unsent else tries)
                await _pause(wait, stop)
        stopped = CallFailed(ErrorCategory.CANCELED, stop.reason, unsent=True)
        return self._failed(dispatch, stopped, stop, begun, 0)

    def _fault(self, dispatch: Dispatch, request: ModelRequest | None) -> str:
        """Say why a dispatch is not what was decided on, or not what this worker has; empty when it is both."""
        if digest_of(dispatch.body.encode()) != dispatch.digest:
            return f"the bytes are not those of action {dispatch.digest[:16]}"
        body = parse_canonical(dispatch.body.encode())
        scope = {"tenant": dispatch.tenant, "run": dispatch.run, "step": dispatch.step}
        if {name: body["scope"][name] for name in scope} != scope:
            return "the action belongs to another tenant, run or step"
        if request is not None:
            return ""
        server = dispatch.served or dispatch.capability
        if server not in self._pins:
            return f"this worker has no {server}"
        if self._pins[server] != dispatch.contract:
            return f"this worker has another contract of {server} than the one that was decided on"
        return ""

    async def _once(
        self,
        dispatch: Dispatch,
        request: ModelRequest | None,
        sink: FrameSink,
        stop: Stop,
        begun: float,
        tries: int,
    ) -> Outcome:
        blank = _blank(dispatch, "done", begun, tries)
        if request is not None:
            limited = replace(
                request,
                spend_limit_micro_usd=dispatch.spend_limit_micro_usd,
                timeout_seconds=dispatch.timeout_seconds,
            )
            reply = await self._models.stream(limited, sink, stop)
            return replace(
                blank,
                outcome=reply_value(reply),
                usage=reply.usage,
                served_model=reply.served_model,
                first_token_ms=reply.first_token_ms,
                interruptions=reply.interruptions,
                duration_ms=_since(begun),
            )
        result = await self._tool(dispatch, sink, stop)
        return replace(blank, outcome=result.output, tree=result.tree or "", duration_ms=_since(begun))

    async def _tool(self, dispatch: Dispatch, sink: FrameSink, stop: Stop) -> ToolResult:
        action = parse_canonical(dispatch.body.encode())
        call = ToolCall(
            contract=self._contracts[dispatch.served or dispatch.capability],
            arguments=action["arguments"],
            key=dispatch.key,
            tenant=dispatch.tenant,
            run=dispatch.run,
            step=dispatch.step,
            tree=Digest(dispatch.tree) if dispatch.tree else None,
            timeout_seconds=dispatch.timeout_seconds,
            app=action["scope"]["app"],
        )
        if dispatch.effect not in _WRITES:
            return await self._tools.execute(call, sink, stop)
        return await self._write(call, sink, stop)

    async def _write(self, call: ToolCall, sink: FrameSink, stop: Stop) -> ToolResult:
        """A write may finish after a cancel; after a halt it has five seconds, then nobody knows."""
        never = Stop()
        work = asyncio.ensure_future(self._tools.execute(call, sink, never))
        halted = asyncio.ensure_future(_halted(stop))
        try:
            await asyncio.wait({work, halted}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.wait({work}, timeout=HALT_GRACE_SECONDS)
            if not work.done():
                raise CallFailed(ErrorCategory.CANCELED, "halted in the middle of a write", ambiguous=True)
            return work.result()
        finally:
            halted.cancel()
            work.cancel()

    def _failed(
        self, dispatch: Dispatch, failed: CallFailed, stop: Stop, begun: float, tries: int
    ) -> Outcome:
        state = "failed"
        if failed.ambiguous and dispatch.effect in _WRITES:
            state = "unknown"
        elif failed.gone:
            state = "lost"
        elif stop.requested:
            state = "lost" if stop.reason.startswith("halt") else "canceled"
        return replace(
            _blank(dispatch, state, begun, tries),
            outcome=failed.partial,
            category=failed.category,
            reason=failed.message,
            usage=failed.usage,
            retry_after=failed.retry_after,
            interruptions=failed.interruptions,
            first_token_ms=failed.first_token_ms,
            gone=failed.gone,
        )


def _blank(dispatch: Dispatch, state: str, begun: float, tries: int) -> Outcome:
    return Outcome(
        key=dispatch.key,
        tenant=dispatch.tenant,
        run=dispatch.run,
        step=dispatch.step,
        epoch=dispatch.epoch,
        state=state,
        duration_ms=_since(begun),
        tries=tries,
        base=dispatch.tree,
        attempt_of_effect=dispatch.attempt_of_effect,
    )


def _clock() -> float:
    """Read the loop's clock: monotonic, and another's when the loop is simulated."""
    return asyncio.get_running_loop().time()


def _since(begun: float) -> int:
    return int((_clock() - begun) * 1000)


async def _halted(stop: Stop) -> None:
    reason = await stop.wait()
    if not reason.startswith("halt"):
        await asyncio.Event().wait()  # a cancel lets a write finish


async def _pause(seconds: float, stop: Stop) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
