"""An event says who and what served, on what it rests and what led to it; a run's head says the same of its state."""

import msgspec

from bailiwick.run import event_schemas

INTENT = {"app": "shop", "workflow": "note", "input": {"text": "x"}}


async def shown(house) -> tuple[list[dict], dict]:
    async with house.client("operator") as client:
        answer = await client.post("/v1/runs", json=INTENT, headers={"Idempotency-Key": "k"})
        assert answer.is_success, answer.text
        run = answer.json()["id"]
        await house.ended(run)
        page = (await client.get(f"/v1/runs/{run}/events")).json()
        return page["events"], (await client.get(f"/v1/runs/{run}")).json()


async def test_every_transition_says_who_served_and_what_led_to_it(house) -> None:
    events, _ = await shown(house)
    run = events[0]["stream"]
    assert events[0]["causation_id"] == "key:k"
    known = {event["id"] for event in events}
    for event in events:
        assert event["schema"] == 1
        assert len(event["trace_id"]) == 32
        assert event["policy_version"] == events[0]["policy_version"]
        assert event["actor"]
    for event in events[1:]:
        assert event["causation_id"] in known
        assert int(event["causation_id"].rpartition(".")[2]) < event["seq"]
    served = next(event for event in events if any(move.get("served") for move in event.get("moves", ())))
    assert served["agent"]
    assert served["contract"] == events[0]["pins"]["contracts"][served["agent"]]
    assert served["evidence"]
    assert {event["stream"] for event in events} == {run}


async def test_a_later_page_says_the_same_as_the_first(house) -> None:
    events, detail = await shown(house)
    async with house.client("operator") as client:
        for event in events[1:]:
            path = f"/v1/runs/{detail['run']['id']}/events?after={event['seq'] - 1}&limit=1"
            assert (await client.get(path)).json()["events"] == [event]


async def test_the_head_of_a_run_names_its_state(house) -> None:
    events, detail = await shown(house)
    assert detail["state_version"] == detail["run"]["version"] == len(events)
    assert detail["last_mutation_causation_id"] == events[-1]["causation_id"]
    assert len(detail["payload_hash"]) == 64


async def test_the_schemas_of_events_are_published_and_hold(house) -> None:
    events, _ = await shown(house)
    async with house.client("operator") as client:
        published = (await client.get("/v1/schemas")).json()
    kinds, definitions = msgspec.to_builtins(event_schemas())
    wanted = {"schema": 1, "kinds": kinds, "definitions": definitions}
    assert published == msgspec.json.decode(msgspec.json.encode(wanted))
    for event in events:
        fields = published["kinds"][event["kind"]]["properties"]
        assert {name for name in ("moves", "call", "at", "pins") if name in event} - {"at"} <= set(fields)
    async with house.client(None) as stranger:
        assert (await stranger.get("/v1/schemas")).status_code == 401
