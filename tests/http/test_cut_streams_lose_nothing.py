"""A stream that is cut anywhere, at any byte and any number of times, goes on without gap, repeat or disorder."""

import asyncio
import itertools
import os
import re

import pytest
from cutting_proxy import body_of, events_of, proxied, raw, request
from http_house import served

from bailiwick.cli.client import Client, path_of
from bailiwick.cli.watching import watch
from bailiwick.http import Limits

pytestmark = pytest.mark.postgres_when_long

LONG = bool(os.environ.get("BAILIWICK_LONG"))
FOLLOWERS = 40 if LONG else 6


def ids(events):
    return [int(event["id"]) for event in events if "id" in event]


def kinds(events):
    return [event["event"] for event in events]


async def follow(port, path, key):
    """Follow a run as a browser does: connect, keep whole events, connect again after the last one."""
    seen, connections = [], 0
    while True:
        connections += 1
        events = events_of(await raw(port, request(path, key, seen[-1] if seen else 0)))
        fresh = ids(events)
        assert all(seq > (seen[-1] if seen else 0) for seq in fresh), (seen, fresh)
        seen += fresh
        if "end" in kinds(events):
            return seen, connections


async def test_a_stream_cut_at_and_inside_every_event_goes_on_where_it_was(house):
    run = await house.submit("chain")
    await house.ended(run)
    path, key = path_of("runs", run, "/events"), house.keys["viewer"]
    async with served(house.app) as port:
        whole = await raw(port, request(path, key))
        expected = ids(events_of(whole))
        ends = [match.end() for match in re.finditer(rb"\n\n", whole)]
        assert len(ends) == len(expected) + 2  # the wish for a pause, and the end
        middles = [(a + b) // 2 for a, b in itertools.pairwise(ends)]
        places = {1, whole.index(b"\r\n\r\n") + 2}
        for end in ends:
            places |= {end - 1, end, end + 1, end + 2}
        places |= set(middles)
        places |= set(range(1, len(whole), 1 if LONG else 20))
        for place in sorted(place for place in places if 0 < place < len(whole)):
            async with proxied(port, iter([place])) as proxy:
                seen, connections = await follow(proxy.port, path, key)
            assert seen == expected, place
            assert (proxy.cut, connections in (1, 2)) == (1, True), place
    assert len(places) >= 300, len(places)


async def test_followers_of_a_live_run_that_are_cut_all_the_time_see_every_event_once(house):
    run = await house.submit("talk")
    path, key = path_of("runs", run, "/events"), house.keys["viewer"]
    async with asyncio.timeout(30), served(house.app) as port:
        done = await raw(port, request(path_of("runs", await ended(house), "/events"), key))
        head = len(done) - len(body_of(done)) + 200
        longest = max(len(part) for part in done.split(b"\n\n")) + 20
        async with proxied(port, itertools.count(head + longest, 7)) as proxy:  # always room for one event
            following = [asyncio.create_task(follow(proxy.port, path, key)) for _ in range(FOLLOWERS)]
            while len(house.app.state.streams) < FOLLOWERS:
                await asyncio.sleep(0)
            house.hush.set()
            found = await asyncio.gather(*following)
        whole = ids(events_of(await raw(port, request(path, key))))
    assert [seen for seen, _ in found] == [whole] * FOLLOWERS
    assert proxy.cut >= FOLLOWERS, proxy.cut


async def ended(house):
    run = await house.submit("note", key="measure")
    await house.ended(run)
    return run


async def test_the_command_line_loses_nothing_to_cuts(house):
    run = await house.submit("chain")
    await house.ended(run)
    path, key = path_of("runs", run, "/events"), house.keys["viewer"]
    async with asyncio.timeout(60), served(house.app) as port:
        whole = await raw(port, request(path, key))
        expected = ids(events_of(whole))
        first = (
            whole.index(b"\n\n", whole.index(b"id: 1\n")) + 2
        )  # one event passes, so that each try has news
        longest = max(len(part) for part in whole.split(b"\n\n"))
        total = 0
        for extra in range(0, longest + 60, 20 if LONG else 90):
            async with proxied(
                port, itertools.repeat(max(first, len(whole) // 8) + extra + longest)
            ) as proxy:
                seen = await asyncio.to_thread(collect, proxy.port, key, path, expected[-1])
            assert seen == expected, extra
            total += proxy.cut
    assert total >= 30, total


def collect(port, key, path, last):
    with Client(f"http://127.0.0.1:{port}", key) as client:
        seen = []
        for item in client.stream(path):
            if item.seq:
                seen.append(item.seq)
            if item.seq == last:
                return seen
    raise AssertionError("the stream ended before the run did")


async def test_the_command_line_goes_on_after_each_word_to_resume(house):
    run = await house.submit("chain")
    await house.ended(run)
    path, key = path_of("runs", run, "/events"), house.keys["viewer"]
    hurried = house.door(Limits(slow_seconds=0.0))  # every client is slow: one event, then `resume`
    async with asyncio.timeout(60), served(house.app) as port, served(hurried) as slow:
        events = events_of(await raw(slow, request(path, key)))
        assert kinds(events)[1:] == ["resume"]
        expected = ids(events_of(await raw(port, request(path, key))))
        assert await asyncio.to_thread(collect, slow, key, path, expected[-1]) == expected


async def test_watching_a_run_survives_cuts(house, capfd):
    run = await house.submit("talk")
    key = house.keys["viewer"]

    def watched(port):
        with Client(f"http://127.0.0.1:{port}", key) as client:
            return watch(client, run, lambda _: True)

    async with asyncio.timeout(60), served(house.app) as port:
        async with proxied(port, itertools.chain([5_000], itertools.count(1_600, 150))) as proxy:
            watching = asyncio.create_task(asyncio.to_thread(watched, proxy.port))
            while not len(house.app.state.streams):
                assert not watching.done(), await watching
                await asyncio.sleep(0)
            house.hush.set()
            timeline = await watching
        last = ids(events_of(await raw(port, request(path_of("runs", run, "/events"), key))))[-1]
    assert (timeline.status, timeline.seq, timeline.ended) == ("completed", last, True)


async def test_a_strange_place_is_refused_or_means_the_start(house):
    """Absent or empty: from the start. A number: after it. Anything else, or two of them: 422 with the header's name."""
    run = await house.submit()
    await house.ended(run)
    path, key = path_of("runs", run, "/events"), house.keys["viewer"]
    asked = request(path, key).removesuffix(b"\r\n")
    async with served(house.app) as port:
        expected = ids(events_of(await raw(port, asked + b"\r\n")))
        taken = {b"": 0, b" ": 0, b"0": 0, b"000": 0, b"1": 1, b" 2 ": 2, b"999999999999999": 10**15}
        for place, after in taken.items():
            answer = await raw(port, asked + b"Last-Event-ID: " + place + b"\r\n\r\n")
            assert ids(events_of(answer)) == [seq for seq in expected if seq > after], place
            assert kinds(events_of(answer))[-1] == "end"
        for place in (
            b"-1",
            b"1.5",
            b"x",
            b"9" * 17,
            b"9" * 5_000,
            b"\xd9\xa3",
            b"1e3",
            b"1,2",
            b"run_x.3",
            b"0x1",
            b"+1",
        ):
            answer = await raw(port, asked + b"Last-Event-ID: " + place + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 422 "), (place, answer[:80])
            assert b"/header/Last-Event-ID" in answer, place
        twice = await raw(port, asked + b"Last-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n")
        assert twice.startswith(b"HTTP/1.1 422 "), twice[:80]
