"""Readers that sleep cost bounded memory, keep nobody waiting, and are told where to go on when they wake up."""

import asyncio
import json
import os
import re
import resource
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from cutting_proxy import events_of, raw, request
from stream_child import BYTES, STEPS

LONG = bool(os.environ.get("BAILIWICK_LONG"))
SLEEPERS, READERS = (500, 50) if LONG else (120, 12)
KILOBYTES_EACH = 320  # what waits in user space for one sleeper: the high water, and one page of events


@asynccontextmanager
async def child(folder):
    """The server; yields its port, its admin key, its pid and its standard input."""
    script = Path(__file__).with_name("stream_child.py")
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, script, str(folder), **pipes)
    said = json.loads(await process.stdout.readline())
    try:
        yield int(said["url"].rpartition(":")[2]), said["key"], process.pid, process.stdin
    finally:
        process.stdin.write(b"\n\n")
        process.stdin.close()
        assert await process.wait() == 0


def resident(pid, field="VmRSS"):
    """Kilobytes of a process."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])


def sleeper(port, asked):
    """Ask for a stream, and read nothing."""
    asleep = socket.socket()
    asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asleep.connect(("127.0.0.1", port))
    asleep.sendall(asked)
    asleep.setblocking(False)
    return asleep


async def drained(asleep):
    loop, got = asyncio.get_running_loop(), bytearray()
    try:
        while piece := await loop.sock_recv(asleep, 65_536):
            got += piece
    except ConnectionError:
        pass
    asleep.close()
    return bytes(got)


def ids(events):
    return [int(event["id"]) for event in events if "id" in event]


async def test_sleeping_readers_are_let_go_with_a_place_to_resume_and_memory_stays_flat(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    async with asyncio.timeout(120), child(tmp_path) as (port, key, pid, gate):
        headers = {"Authorization": f"Bearer {key}"}
        base = {"base_url": f"http://127.0.0.1:{port}", "trust_env": False, "headers": headers}
        async with httpx2.AsyncClient(**base) as api:
            body = {"app": "loud", "workflow": "loud"}
            made = await api.post("/v1/runs", json=body, headers={"Idempotency-Key": "loud"})
            run = made.json()["id"]
            asked = request(f"/v1/runs/{run}/events", key)
            reading = [asyncio.create_task(raw(port, asked)) for _ in range(READERS)]
            sleepers = [sleeper(port, asked) for _ in range(SLEEPERS)]
            metric = "bailiwick_http_requests_total"
            served = re.compile(rf'^{metric}{{.*events".*}} (\d+)', re.MULTILINE)
            while True:
                count = served.search((await api.get("/metrics")).text)
                if count and int(count[1]) == SLEEPERS + READERS:
                    break
            before = resident(pid)
            gate.write(b"\n")
            awake = [events_of(each) for each in await asyncio.gather(*reading)]
            peak = resident(pid, "VmHWM")
            given_up = time.monotonic() + 3.0  # the server gives a sleeper up after one second
            while time.monotonic() < given_up:
                assert (await api.get("/healthz")).status_code == 200
        last = awake[0][-1]["data"]["last"]
        assert awake[0][-1]["data"]["status"] == "completed"
        assert all(ids(events) == list(range(1, last + 1)) for events in awake)  # in order, each once
        assert sum(len(str(event)) for event in awake[0]) > STEPS * BYTES
        whole = STEPS * BYTES // 1024 * SLEEPERS
        grown = peak - before
        assert grown < SLEEPERS * KILOBYTES_EACH + 64 * 1024 < whole, (before, peak, whole)
        woken = [events_of(each) for each in await asyncio.gather(*map(drained, sleepers))]
        told = [events[-1] for events in woken if events and events[-1]["event"] == "resume"]
        assert len(told) == SLEEPERS, (len(told), SLEEPERS)
        for events in woken:
            place = events[-1]["data"]
            assert place["reason"] in ("stalled", "slow")
            assert ids(events) == list(range(1, place["resume_after"] + 1))
            assert place["resume_after"] < last
        for events in woken[:10]:
            after = events[-1]["data"]["resume_after"]
            rest = events_of(await raw(port, request(f"/v1/runs/{run}/events", key, after)))
            assert ids(rest) == list(range(after + 1, last + 1))
