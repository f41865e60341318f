"""An authenticated request that is refused leaves an event, wherever it was refused; an anonymous one leaves none."""

from typing import Any

from http_house import House


async def refusals(house: House) -> list[dict[str, Any]]:
    async with house.client("admin") as client:
        events: list[dict[str, Any]] = (await client.get("/v1/audit/refusals?limit=500")).json()["events"]
        return events


async def test_what_the_door_refuses_is_on_record_like_what_a_use_case_refuses(house: House) -> None:
    _, approval = await house.held()
    async with house.client("approver") as client:
        path = f"/v1/approvals/{approval}:approve"
        await client.post(path, json={"digest": "0" * 64})
        await client.post(path, json={"unknown": 1})
        await client.post(path, content=b"{", headers={"Content-Type": "application/json"})
        await client.post(path, content=b"x", headers={"Content-Type": "text/plain"})
        await client.post("/v1/keys", json={"name": "eve", "role": "admin"})
    found = await refusals(house)
    route = "POST /v1/approvals/{id}:approve"
    assert [(event["act"], event["code"]) for event in found] == [
        ("approvals.decide", "grant_mismatch"),
        (route, "invalid_body"),
        (route, "invalid_json"),
        (route, "unsupported_media_type"),
        ("keys.create", "forbidden"),
    ]
    assert {event["subject"] for event in found[:4]} == {approval}
    assert all(event["api_key"].startswith("key_") and event["at"].endswith("Z") for event in found)


async def test_reading_and_strangers_leave_none(house: House) -> None:
    async with house.client("viewer") as client:
        await client.get("/v1/keys")
        await client.get("/v1/runs/run_none")
        await client.post("/v1/no-such-route", json={})
        client.headers["Authorization"] = "Bearer bwk_of_nobody"
        await client.post("/v1/keys", json={"name": "eve", "role": "admin"})
    assert await refusals(house) == []


async def test_tenants_see_their_own_alone(house: House) -> None:
    async with house.client("foreign") as client:
        await client.post("/v1/halts/hlt_none:lift", json={})
        (mine,) = (await client.get("/v1/audit/refusals")).json()["events"]
        assert mine["act"] == "halts.lift"
    assert await refusals(house) == []
