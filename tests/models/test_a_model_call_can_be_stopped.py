"""Whoever stops a call gets it stopped: the provider's socket closes within a second, and the cost is not lost."""

import asyncio
import contextlib

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.models import ForbiddenContent, MonitorRules
from bailiwick.ports import CallFailed, Stop


class StopAfter:
    """Asks for the stop at the nth frame, and remembers when."""

    def __init__(self, frames):
        self.stop, self.frames, self.after, self.at = Stop(), [], frames, None

    def __call__(self, frame):
        self.frames.append(frame)
        if len(self.frames) == self.after:
            self.at = asyncio.get_running_loop().time()
            self.stop.request("the user gave up")


async def test_a_canceled_stream_closes_its_socket_within_a_second(make_host, ask, last_log):
    sink = StopAfter(3)
    with pytest.raises(CallFailed) as failed:
        await make_host().stream(ask("slow"), sink, sink.stop)
    assert asyncio.get_running_loop().time() - sink.at < 1
    assert failed.value.category is ErrorCategory.CANCELED
    assert "the user gave up" in failed.value.message
    assert failed.value.partial == "wordwordword"
    log = await last_log()
    assert asyncio.get_running_loop().time() - sink.at < 1
    assert log["peer_left"] is True
    assert log["chunks"] < 40


async def test_a_canceled_call_is_charged_by_estimate(make_host, ask):
    sink = StopAfter(3)
    with pytest.raises(CallFailed) as failed:
        await make_host().stream(ask("slow"), sink, sink.stop)
    usage = failed.value.usage
    assert (usage.source, usage.input_tokens > 0, usage.output_tokens >= 3) == ("estimated", True, True)


async def test_a_call_that_is_stopped_before_it_begins_sends_nothing(make_host, ask, last_log):
    host = make_host()
    await host.stream(ask("plain"), lambda frame: None, Stop())
    before = (await last_log())["number"]
    stop = Stop()
    stop.request("too late")
    with pytest.raises(CallFailed) as failed:
        await host.stream(ask("plain"), lambda frame: None, stop)
    assert (failed.value.category, failed.value.unsent) == (ErrorCategory.CANCELED, True)
    assert failed.value.usage.input_tokens == 0
    assert (await last_log())["number"] == before


async def test_a_worker_that_is_canceled_closes_its_sockets_too(make_host, ask, last_log):
    streaming = asyncio.Event()
    call = asyncio.create_task(make_host().stream(ask("slow"), lambda frame: streaming.set(), Stop()))
    await streaming.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await last_log())["peer_left"] is True


async def test_an_answer_that_takes_too_long_times_out(make_host, ask, last_log):
    with pytest.raises(CallFailed) as failed:
        await make_host().stream(ask("slow", timeout_seconds=0.5), lambda frame: None, Stop())
    assert failed.value.category is ErrorCategory.TIMEOUT
    assert failed.value.interruptions == ()
    assert (await last_log())["peer_left"] is True


@pytest.mark.parametrize(
    ("request_of", "partial"),
    [(("stalled", "x"), "This is a scripted a"), (("played", "silent"), None)],
    ids=["after", "before"],
)
async def test_silence_is_a_stall_before_the_first_token_and_after_it(
    ask, make_host, last_log, request_of, partial
):
    host = make_host(MonitorRules(ForbiddenContent(), stall_seconds=0.5))
    await host.warm()
    with pytest.raises(CallFailed) as failed:
        await host.stream(ask(*request_of), lambda frame: None, Stop())
    assert (failed.value.category, failed.value.interruptions) == (ErrorCategory.TIMEOUT, ("stall",))
    assert (failed.value.partial, failed.value.usage.source) == (partial, "estimated")
    assert (await last_log())["peer_left"] is True


class Dripping:
    """A server that sends something every 50 ms, and its answer after that."""

    def __init__(self, drip: bytes, times: int) -> None:
        self.drip, self.times, self.at_work = drip, times, []

    async def answer(self, reader, writer):
        self.at_work.append(asyncio.current_task())
        try:
            await self.drop(reader, writer)
        finally:
            writer.close()

    async def drop(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(self.times):
                writer.write(self.drip)
                await writer.drain()
                await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.05)  # its pace
            writer.write(b'data: {"choices":[{"delta":{"content":"here"},"finish_reason":"stop"}]}\n\n')
            await writer.drain()


@contextlib.asynccontextmanager
async def dripping(drip, times):
    site = Dripping(drip, times)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in site.at_work:  # whoever asked may have left
            task.cancel()
        await asyncio.gather(*site.at_work, return_exceptions=True)
        await server.wait_closed()


@pytest.mark.parametrize("drip", [b": PROCESSING\n\n", b"\n", b'data: {"choices":[]}\n\n'])
async def test_a_provider_that_only_says_that_it_lives_is_waited_for(make_host, ask, drip):
    async with dripping(drip, 20) as url:
        host = make_host(base_url=url, silence_seconds=0.4, first_token_seconds=0.4)
        assert (await host.stream(ask("plain"), lambda frame: None, Stop())).message.text == "here"


async def test_the_first_byte_has_a_time_of_its_own(make_host, ask):
    async with dripping(b"", 10) as url:
        late = make_host(base_url=url, silence_seconds=0.1, first_token_seconds=5.0)
        assert (await late.stream(ask("plain"), lambda frame: None, Stop())).message.text == "here"
        hasty = make_host(base_url=url, silence_seconds=5.0, first_token_seconds=0.1)
        with pytest.raises(CallFailed) as failed:
            await hasty.stream(ask("plain"), lambda frame: None, Stop())
    assert failed.value.category is ErrorCategory.TIMEOUT
    assert "nothing came for 0.1 s" in failed.value.message
