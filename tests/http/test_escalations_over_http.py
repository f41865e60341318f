"""Escalations over HTTP: the second group is refused before the instant and may answer after it, and everybody sees it."""

import asyncio
import contextlib
import functools
import json
import sys

import pytest
from http_house import HOLD, House, assert_problem, served

from bailiwick.policy import Role
from bailiwick.stores import open_store
from bailiwick.wiring import Embedded
from postgres_kit import lent_database, shift_clock
from store_choice import POSTGRES
from world_kit import Clock, TestWorld

ESCALATING = HOLD.replace(
    '@approval_ttl("PT1H")', '@approval_ttl("P2D") @escalate_to("chiefs") @escalate_after("PT15M")'
)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the house and of its database."""
    clock = Clock()
    embedded = sys.modules[Embedded.__module__]
    monkeypatch.setattr(
        embedded, "open_store", lambda *given, **more: open_store(*given, **{**more, "clock": clock})
    )
    monkeypatch.setattr(embedded, "SystemWorld", lambda _: TestWorld(clock))
    return clock


@pytest.fixture
async def house(request, tmp_path, clock, log):
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(lent_database()) if request.param == POSTGRES else ""
        if store:
            clock.followers.append(functools.partial(shift_clock, store))
        opened = await stack.enter_async_context(House(tmp_path, store, ESCALATING).open())
        keyring = opened.platform.keyring
        for name, groups in (("chief", ("chiefs",)), ("neighbour", ("clerks",))):
            _, opened.keys[name] = await keyring.issue(
                "home", name=name, role=Role.APPROVER, groups=groups, by="test"
            )
        yield opened


async def test_the_second_group_answers_after_the_instant_and_the_view_says_so(house, clock):
    run, approval = await house.held()
    async with house.client("chief") as client:
        path = f"/v1/approvals/{approval}"
        row = (await client.get(path)).json()["approval"]
        (hold,) = row["holds"]
        assert (hold["group"], hold["escalate_to"], row["escalated_to"]) == ("shippers", "chiefs", [])
        early = assert_problem(await client.post(f"{path}:approve"), 403, "not_an_approver")
        assert early["facts"]["since"] == hold["escalate_at"]
        assert hold["escalate_at"] in early["remedy"]
        clock.advance(901)
        for shown in ((await client.get(path)).json()["approval"], *await listed(client)):
            assert shown["escalated_to"] == ["chiefs"]
        async with house.client("neighbour") as other:
            assert_problem(await other.post(f"{path}:approve"), 403, "not_an_approver")
        decided = (await client.post(f"{path}:approve", json={"digest": row["digest"]})).json()
        assert (decided["state"], decided["decided_by"]) == ("approved", "chief")
        assert decided["escalated_to"] == ["chiefs"]
    assert await house.ended(run) == "completed"
    assert len(house.shipped) == 1


async def listed(client):
    return (await client.get("/v1/approvals")).json()["approvals"]


async def test_who_follows_a_run_sees_to_whom_it_is_escalated(house, clock):
    """The keeper writes it by itself; the stream brings it, and the meters count it."""
    run, approval = await house.held()
    async with served(house.app) as port:
        head = (
            f"GET /v1/runs/{run}/events HTTP/1.1\r\nHost: door\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {house.keys['viewer']}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        clock.advance(901)
        async with asyncio.timeout(20):
            while b"action.escalated" not in (line := await reader.readline()) or b"data:" not in line:
                assert line, "the stream ended"
        writer.close()
        await writer.wait_closed()
    event = json.loads(line.decode().removeprefix("data: "))
    assert (event["approval"], event["to"], event["actor"]) == (approval, ["chiefs"], "timer:approvals")
    text, _ = await house.metrics.exposition(openmetrics=False)
    assert b'bailiwick_approvals_total{decision="escalated"} 1.0' in text
    text, _ = await house.system.metrics.exposition(openmetrics=False)
    (line,) = [
        line for line in text.decode().splitlines() if line.startswith("bailiwick_oldest_approval_seconds")
    ]
    assert 901 <= float(line.split()[1]) < 1_000
    async with house.client("approver") as client:
        assert (await client.post(f"/v1/approvals/{approval}:reject")).json()["state"] == "rejected"
    text, _ = await house.system.metrics.exposition(openmetrics=False)
    assert b"bailiwick_oldest_approval_seconds 0.0" in text
