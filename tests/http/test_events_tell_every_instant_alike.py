"""Every instant that a run's events hold is shown as RFC 3339, however deep it lies; never as a number."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from bailiwick.http.events import show
from bailiwick.run import Event, instants_in

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def instants(value: Any, name: str = "") -> Iterator[Any]:
    match value:
        case dict():
            for inner, child in value.items():
                yield from instants(child, inner)
        case list():
            for child in value:
                yield from instants(child, name)
        case _ if name in instants_in(Event):
            yield value


def test_the_instants_of_an_action_are_shown_as_the_event_s_own() -> None:
    call = {"dispatched_at": 1_796_077_218_849_968, "quarantine_until": 1_796_077_398_849_968, "n": 1}
    wait = {"kind": "retry", "until": 1_796_077_398_849_968}
    shown = show(
        {"kind": "action.moved", "at": 1, "call": call, "moves": [{"wait": wait}], "payload": {"at": 5}}
    )
    found = list(instants({name: value for name, value in shown.items() if name != "payload"}))
    assert len(found) == 4
    assert all(RFC3339.fullmatch(each) for each in found), found
    assert shown["payload"] == {"at": 5}, "what was recorded stays as it was"
    assert shown["call"]["n"] == 1


def test_no_struct_of_an_event_hides_an_instant_under_another_name() -> None:
    names = {"at", "created_at", "deadline", "until", "dispatched_at", "quarantine_until"}
    assert names <= set(instants_in(Event))
    schema = msgspec.json.schema(Event)
    suspicious = {
        name
        for part in schema["$defs"].values()
        for name in part.get("properties", {})
        if name.endswith(("_at", "_until", "deadline"))
    }
    assert suspicious <= set(instants_in(Event))


async def test_a_write_on_record_is_shown_with_readable_instants(house) -> None:
    async with house.client("operator") as client:
        answer = await client.post(
            "/v1/runs",
            json={"app": "shop", "workflow": "note", "input": {"text": "x"}},
            headers={"Idempotency-Key": "k"},
        )
        run = answer.json()["id"]
        await house.ended(run)
        page = (await client.get(f"/v1/runs/{run}/events")).json()
    found = [each for event in page["events"] for each in instants({**event, "payload": None})]
    assert found
    assert all(each == "" or RFC3339.fullmatch(str(each)) for each in found), found
