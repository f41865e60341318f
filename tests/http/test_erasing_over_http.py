"""After an erasure every route that reads the run still answers, says so, and shows nothing of it."""

from http_house import House, assert_problem, parse_sse

WORD = "zanzibar-0417"


async def test_no_reader_fails_on_what_was_erased(house: House) -> None:
    run = await house.submit(input={"text": WORD})
    await house.ended(run)
    async with house.client("admin") as client:
        assert WORD in (await client.get(f"/v1/runs/{run}")).text
        one = await client.post(f"/v1/runs/{run}/events/1:erase", json={"reason": "ticket 17"})
        assert (one.status_code, one.json()["erased"]) == (200, [f"{run}.1"])
        twice = await client.post(f"/v1/runs/{run}/events/1:erase", json={"reason": "ticket 17"})
        assert_problem(twice, 409, "not_erasable")
        all_of_it = await client.post(f"/v1/runs/{run}:erase", json={"reason": "ticket 17"})
        assert all_of_it.status_code == 200
        assert all_of_it.json()["erased"]
        shown = (await client.get(f"/v1/runs/{run}")).json()
        assert (shown["intent"], shown["output"]) == (None, None)
        assert set(shown["erased"]) >= {"intent", "output"}
        events = (await client.get(f"/v1/runs/{run}/events")).json()["events"]
        assert [event["erased"] for event in events] == [event["commitment"] is not None for event in events]
        stream = await client.get(f"/v1/runs/{run}/events", headers={"Accept": "text/event-stream"})
        assert any(each["data"].get("erased") for each in parse_sse(stream.text))
        parts = ("", "/events", "/cost", "/transcript")
        paths = [f"/v1/runs/{run}{path}" for path in parts]
        paths += ["/v1/audit/export", "/v1/audit/checkpoint", f"/v1/audit/proof?event={run}.1", "/v1/runs"]
        answers = [await client.get(path) for path in paths]
        for answer in [*answers, stream]:
            assert answer.status_code == 200, answer.text
            assert WORD.encode() not in answer.content


async def test_a_bad_request_to_erase_is_refused_at_the_door(house: House) -> None:
    run = await house.submit()
    await house.ended(run)
    async with house.client("admin") as client:
        for seq in ("0", "-1", "x", "1.5", str(10**16)):
            answer = await client.post(f"/v1/runs/{run}/events/{seq}:erase", json={"reason": "t"})
            assert answer.status_code == 422, answer.text
        assert (await client.post(f"/v1/runs/{run}:erase", json={})).status_code == 422
        assert_problem(
            await client.post(f"/v1/runs/{run}:erase", json={"reason": " "}), 422, "reason_missing"
        )


async def test_an_erased_approval_is_shown_as_erased(house: House) -> None:
    run, approval = await house.held()
    async with house.client("admin") as client:
        early = await client.post(f"/v1/runs/{run}:erase", json={"reason": "ticket 17"})
        assert_problem(early, 409, "run_not_ended")
        await client.post(f"/v1/runs/{run}:cancel", json={})
        await house.ended(run)
        assert (await client.post(f"/v1/runs/{run}:erase", json={"reason": "ticket 17"})).status_code == 200
        shown = await client.get(f"/v1/approvals/{approval}")
        assert (shown.status_code, shown.json()["erased"], shown.json()["action"]) == (200, True, None)
