"""The event stream: every event once and in order, whatever is cut; and a client can slow nobody down."""

import asyncio
import json
from types import SimpleNamespace

import httpx2
import pytest
from http_house import parse_sse, served

from bailiwick.http import Limits, close_streams

SSE = {"Accept": "text/event-stream"}


class Client:
    """An ASGI client by hand: it takes what is sent when it wants to, and leaves when it wants to."""

    def __init__(self, house, run, *, after="", last="", app=None, appetite=None):
        headers = [(b"accept", b"text/event-stream"), (b"host", b"door")]
        headers.append((b"authorization", f"Bearer {house.keys['viewer']}".encode()))
        if last:
            headers.append((b"last-event-id", last.encode()))
        path = f"/v1/runs/{run}/events"
        self.scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": f"after={after}".encode(), "root_path": "",
            "headers": headers, "server": ("door", 80), "client": ("here", 1),
        }  # fmt: skip
        self.app = app if app is not None else house.app
        self.appetite = appetite
        self.status = 0
        self.headers = {}
        self.text = ""
        self.closed = False
        self.moved = asyncio.Event()
        self.leaving = asyncio.Event()
        self.asked = False

    async def receive(self):
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self.appetite is not None and message["type"] == "http.response.body":
            await self.appetite(self)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message["body"].decode()
            self.closed = not message.get("more_body", False)
        self.moved.set()

    async def serve(self):
        async with asyncio.timeout(20):
            await self.app(self.scope, self.receive, self.send)

    async def until(self, text):
        async with asyncio.timeout(20):
            while text not in self.text:
                self.moved.clear()
                await self.moved.wait()

    @property
    def events(self):
        return parse_sse(self.text)

    @property
    def seqs(self):
        return [int(event["id"]) for event in self.events if "id" in event]


async def pages(house, run):
    async with house.client("viewer") as client:
        after, found = 0, []
        while True:
            page = (await client.get(f"/v1/runs/{run}/events", params={"after": after, "limit": 3})).json()
            if not page["events"]:
                assert page["next_after"] == after
                return found
            found += page["events"]
            after = page["next_after"]


async def test_stream_and_pages_tell_the_same_story(house):
    run = await house.submit("chain")
    client = Client(house, run)
    await client.serve()
    paged = await pages(house, run)
    assert client.status == 200
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.headers["x-accel-buffering"] == "no"
    assert client.headers["cache-control"] == "no-store, no-transform"
    assert client.seqs == list(range(1, len(paged) + 1))
    told = [event for event in client.events if "id" in event]
    assert [event["data"] for event in told] == paged
    assert [event["event"] for event in told] == [event["kind"] for event in paged]
    assert told[0]["event"] == "run.created"
    assert told[-1]["event"] == "run.closed"
    assert client.events[-1] == {
        "event": "end",
        "data": {"run": run, "status": "completed", "last": len(paged)},
    }
    assert client.closed
    assert all(event["at"].endswith("Z") for event in paged)
    assert paged[0]["allotment"] == {"micro_usd": 1_000_000, "usd": "1.00"}


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_stream_that_is_cut_anywhere_goes_on_without_gap_or_repeat(house, by):
    run = await house.submit("chain")
    await house.ended(run)
    count = len(await pages(house, run))
    for cut in range(1, count + 1):
        before = Client(house, run)
        serving = asyncio.create_task(before.serve())
        await before.until(f"id: {cut}\n")
        before.leaving.set()
        await serving
        place = {"last": str(cut), "after": "1"} if by == "header" else {"after": str(cut)}
        rest = Client(house, run, **place)
        await rest.serve()
        assert rest.seqs == list(range(cut + 1, count + 1))
        assert rest.events[-1]["event"] == "end"


async def test_a_live_stream_shows_frames_and_events_as_they_come(house):
    run = await house.submit("talk")
    client = Client(house, run)
    serving = asyncio.create_task(client.serve())
    await client.until("first line")
    assert "run.closed" not in client.text
    house.hush.set()
    await serving
    frames = [event for event in client.events if event["event"] == "frame"]
    assert all("id" not in frame for frame in frames)
    assert [frame["data"]["step"] for frame in frames] == ["talk"] * len(frames)
    assert [frame["data"]["text"] for frame in frames] == ["first line", "last \u2028 line\n"]
    assert client.seqs == list(range(1, len(client.seqs) + 1))
    assert client.events[-1]["data"]["status"] == "completed"


async def test_many_watchers_see_the_same(house):
    run = await house.submit("chain")
    clients = [Client(house, run) for _ in range(20)]
    await asyncio.gather(*(client.serve() for client in clients))
    assert len({tuple(client.seqs) for client in clients}) == 1
    assert len(house.app.state.streams) == 0


async def test_an_idle_stream_is_pinged_and_a_client_that_leaves_is_noticed(house):
    run = await house.submit("talk")
    client = Client(house, run, app=house.door(Limits(ping_seconds=0.01)))
    serving = asyncio.create_task(client.serve())
    await client.until(": ping\n\n: ping\n\n")
    client.leaving.set()
    await serving
    assert not client.closed
    assert len(client.app.state.streams) == 0
    assert house.platform.streams._watchers.get(run) is None


async def test_a_server_that_stops_says_where_to_resume(house):
    run = await house.submit("talk")
    client = Client(house, run)
    serving = asyncio.create_task(client.serve())
    await client.until("first line")
    close_streams(house.app)
    await serving
    last = client.events[-1]
    assert last == {"event": "resume", "data": {"reason": "shutdown", "resume_after": client.seqs[-1]}}
    assert client.closed


async def test_a_slow_client_is_let_go_with_a_hint(house):
    run = await house.submit("chain")
    await house.ended(run)
    app = house.door(Limits(slow_seconds=0.0))
    client = Client(house, run, app=app)
    await client.serve()
    assert client.seqs == [1]
    assert client.events[-1]["data"] == {"reason": "slow", "resume_after": 1}
    rest = Client(house, run, after="1")
    await rest.serve()
    assert rest.seqs[0] == 2
    assert rest.events[-1]["event"] == "end"


async def test_a_client_that_does_not_read_is_cut_off_and_hinders_nobody(house):
    run = await house.submit("chain")
    stuck = asyncio.Event()

    async def eats_nothing(client):
        if "retry" in client.text:
            await stuck.wait()

    dead = Client(house, run, app=house.door(Limits(stall_seconds=0.05)), appetite=eats_nothing)
    alive = Client(house, run)
    await asyncio.gather(dead.serve(), alive.serve())
    assert dead.seqs == []
    assert alive.events[-1]["event"] == "end"
    assert len(dead.app.state.streams) == 0


async def test_a_revoked_key_ends_its_streams(house):
    run = await house.submit("talk")
    client = Client(house, run)
    serving = asyncio.create_task(client.serve())
    await client.until("first line")
    async with house.client("admin") as admin:
        listed = (await admin.get("/v1/keys")).json()["keys"]
        viewer = next(key["id"] for key in listed if key["role"] == "viewer")
        assert (await admin.post(f"/v1/keys/{viewer}:revoke")).status_code == 200
        refused = await admin.get("/v1/runs", headers={"Authorization": f"Bearer {house.keys['viewer']}"})
        assert refused.status_code == 401
    house.hush.set()
    await serving
    assert client.events[-1]["data"]["reason"] == "revoked"


async def test_a_stream_makes_room_for_a_tenant_that_has_none(house):
    run = await house.submit("talk")
    app = house.door(Limits(streams=2))
    first, second = Client(house, run, app=app), Client(house, run, app=app)
    serving = [asyncio.create_task(first.serve())]
    await first.until("first line")
    serving.append(asyncio.create_task(second.serve()))
    await second.until("first line")
    caller = house.platform.keyring.authenticate(house.keys["foreign"])
    source = SimpleNamespace(platform=house.platform, caller=caller, run="run_theirs")
    with app.state.streams.one(source):
        await serving[1]
        assert second.events[-1]["data"]["reason"] == "shared"
        assert second.events[-1]["data"]["resume_after"] > 0
        assert not serving[0].done()
    first.leaving.set()
    await serving[0]


async def test_streams_are_bounded_in_number(house):
    run = await house.submit("talk")
    app = house.door(Limits(streams=1))
    first = Client(house, run, app=app)
    serving = asyncio.create_task(first.serve())
    await first.until("first line")
    second = Client(house, run, app=app)
    await second.serve()
    assert second.status == 503
    assert json.loads(second.text)["code"] == "too_many_streams"
    assert second.headers["retry-after"] == "1"
    first.leaving.set()
    await serving
    third = Client(house, run, app=app)
    serving = asyncio.create_task(third.serve())
    await third.until("first line")
    third.leaving.set()
    await serving
    assert third.status == 200


async def test_resuming_after_the_end_ends_at_once(house):
    run = await house.submit()
    await house.ended(run)
    count = len(await pages(house, run))
    client = Client(house, run, last=str(count + 7))
    await client.serve()
    assert client.seqs == []
    assert client.events[-1]["data"]["status"] == "completed"


async def test_a_place_that_is_no_number_is_refused(house):
    run = await house.submit()
    address = f"/v1/runs/{run}/events"
    async with house.client("viewer") as client:
        for place in ("-1", "1.5", "x", "9" * 16, "\u0663", "1e3"):
            paged = await client.get(address, params={"after": place})
            live = await client.get(address, headers={**SSE, "Last-Event-ID": place.encode()})
            assert (paged.status_code, live.status_code) == (422, 422)
            assert paged.json()["errors"][0]["pointer"] == "/query/after"
            assert live.json()["code"] == "invalid_parameter"


async def test_over_a_real_connection_a_client_leaves_and_comes_back(house):
    run = await house.submit("talk")
    bearer = {**SSE, "Authorization": f"Bearer {house.keys['viewer']}"}
    address = f"/v1/runs/{run}/events"
    async with asyncio.timeout(20), served(house.app) as port:
        url = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=url, trust_env=False, headers=bearer) as client:
            text = ""
            async with client.stream("GET", address) as answer:
                async for piece in answer.aiter_text():
                    text += piece
                    if "first line" in text:
                        break
            last = max(int(event["id"]) for event in parse_sse(text) if "id" in event)
            while len(house.app.state.streams):
                await asyncio.sleep(0)
            house.hush.set()
            rest = (await client.get(address, headers={"Last-Event-ID": str(last)})).text
    seqs = [int(event["id"]) for event in parse_sse(rest) if "id" in event]
    assert seqs == list(range(last + 1, seqs[-1] + 1))
    assert parse_sse(rest)[-1]["event"] == "end"
