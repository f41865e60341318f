"""A run over HTTP: submitted once per key, listed in pages, shown whole, acted on by name."""

import asyncio

from http_house import assert_problem

INTENT = {
    "app": "shop",
    "workflow": "note",
    "input": {"text": "hello"},
    "labels": {"feature": "f", "team": "t"},
}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_submitted_run_completes_and_is_shown_whole(house):
    async with house.client("operator") as client:
        answer = await client.post(
            "/v1/runs", json=INTENT, headers={"Idempotency-Key": "k", "traceparent": PARENT}
        )
        assert answer.status_code == 201
        run = answer.json()["id"]
        assert answer.headers["location"] == f"/v1/runs/{run}"
        assert await house.ended(run) == "completed"
        shown = (await client.get(f"/v1/runs/{run}")).json()
    assert shown["run"]["status"] == "completed"
    assert shown["run"]["labels"] == {"feature": "f", "team": "t"}
    assert shown["run"]["budget"]["limit"] == {"micro_usd": 1_000_000, "usd": "1.00"}
    assert shown["run"]["deadline"].endswith("Z")
    assert shown["intent"]["input"] == {"text": "hello"}
    assert shown["output"] == {"text": "hello", "said": "note"}
    assert [step["name"] for step in shown["steps"]] == ["$context", "$plan", "note"]
    assert shown["trace_id"] == PARENT.split("-")[1]
    assert "policy_version" in shown
    assert shown["plan"]["nodes"][0]["id"] == "note"


async def test_the_same_key_is_answered_with_the_same_bytes(house):
    async with house.client("operator") as client:
        bare = {"Idempotency-Key": "order 7"}
        first = await client.post("/v1/runs", json=INTENT, headers=bare)
        await house.ended(first.json()["id"])
        again = await client.post("/v1/runs", json=INTENT, headers={"Idempotency-Key": '"order 7"'})
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["location"] == first.headers["location"]
        other = await client.post("/v1/runs", json={**INTENT, "title": "else"}, headers=bare)
        assert assert_problem(other, 409, "idempotency_key_reused")["facts"]["run"] == first.json()["id"]
    async with house.client("foreign") as client:
        foreign = await client.post("/v1/runs", json=INTENT, headers=bare)
        assert foreign.status_code == 201
        assert foreign.json()["id"] != first.json()["id"]


async def test_repeats_at_the_same_moment_make_one_run(house):
    async with house.client("operator") as client:
        answers = await asyncio.gather(
            *(client.post("/v1/runs", json=INTENT, headers={"Idempotency-Key": "k"}) for _ in range(32))
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert len((await client.get("/v1/runs")).json()["runs"]) == 1


UNUSABLE_KEYS = {
    "none": [],
    "empty": [""],
    "empty-quoted": ['""'],
    "long": ["x" * 256],
    "half-quoted": ['"half'],
    "quote-inside": ['"a"b"'],
    "latin": ["na\xefve".encode("latin-1")],
    "tab": ["a\tb"],
    "two": ["a", "a"],
}


async def test_without_a_usable_key_nothing_is_submitted(house):
    async with house.client("operator") as client:
        for case, keys in UNUSABLE_KEYS.items():
            headers = [("Idempotency-Key", key) for key in keys]
            answer = await client.post("/v1/runs", json=INTENT, headers=headers)
            assert (case, answer.status_code) == (case, 400)
            assert_problem(answer, 400, "idempotency_key_required")
        assert (await client.get("/v1/runs")).json()["runs"] == []


async def test_pages_of_runs_follow_each_other_without_a_gap(house):
    made = [await house.submit(key=f"k{at}") for at in range(5)]
    async with house.client("viewer") as client:
        seen: list[str] = []
        address = "/v1/runs?limit=2&app=shop"
        while address:
            page = await client.get(address)
            seen += [run["id"] for run in page.json()["runs"]]
            link = page.headers.get("link", "")
            assert bool(link) == bool(page.json()["next_cursor"])
            address = link.removeprefix("<").partition(">")[0]
            if len(seen) == 2:
                await house.submit(key="meanwhile")
        assert seen == sorted(made, reverse=True)
        await house.ended(made[0])
        listed = (await client.get("/v1/runs", params={"status": "failed"})).json()["runs"]
        assert listed == []


async def test_a_bad_parameter_is_named(house):
    bad = ("status=done", "limit=0", "limit=201", "limit=x", "cursor=run_1", "cursor=%00", "app=" + "a" * 201)
    async with house.client("viewer") as client:
        for query in bad:
            problem = assert_problem(await client.get(f"/v1/runs?{query}"), 422, "invalid_parameter")
            assert problem["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


async def test_a_run_is_asked_to_end_and_ends_once_nothing_of_it_runs(house):
    run = await house.submit("talk")
    async with asyncio.timeout(10):
        await house.talking.wait()
    async with house.client("operator") as client:
        resolving = {"key": "a" * 64, "done": True}
        assert_problem(await client.post(f"/v1/runs/{run}:resolve", json=resolving), 404, "no_such_action")
        answer = await client.post(f"/v1/runs/{run}:cancel", json={"reason": "enough"})
        assert answer.status_code == 202
        house.hush.set()
        assert await house.ended(run) == "canceled"
        shown = (await client.get(f"/v1/runs/{run}")).json()
        assert shown["cancel_requested"]
        assert (shown["run"]["waiting_for"], shown["run"]["reason"]) == ("", shown["reason"])
        assert shown["reason"].startswith("canceled by ")
        assert_problem(await client.post(f"/v1/runs/{run}:cancel"), 409, "illegal_transition")
        assert_problem(await client.post(f"/v1/runs/{run}:resume"), 409, "illegal_transition")


async def test_a_step_that_stands_says_why_as_a_kind_and_what_it_is_about(house):
    async with house.client("admin") as client:

        async def stands(run: str) -> list[tuple[str, str, str]]:
            shown = (await client.get(f"/v1/runs/{run}")).json()
            return [
                (step["name"], step["stands"], step["stands_on"]) for step in shown["steps"] if step["stands"]
            ]

        held, approval = await house.held()
        (waiting,) = await stands(held)
        assert waiting[1:] == ("approval", approval)
        halt = (
            await client.post("/v1/halts", json={"scope": "app", "target": "shop", "reason": "drill"})
        ).json()
        headers = {"Idempotency-Key": "halted"}
        run = (await client.post("/v1/runs", json=INTENT, headers=headers)).json()["id"]
        await house.until(run, lambda status: status == "blocked")
        assert await stands(run) == [("note", "halt", halt["id"])]
        await client.post(f"/v1/halts/{halt['id']}:lift")
        assert await house.ended(run) == "completed"
        assert await stands(run) == []


async def test_a_run_is_rolled_back_and_its_stream_is_told_to_the_second_end(house):
    run, approval = await house.held()
    async with house.client("approver") as client:
        await house.approve(approval)
        assert await house.ended(run) == "completed"
        because = {"reason": "the wrong parcel"}
        assert_problem(await client.post(f"/v1/runs/{run}:rollback", json=because), 403, "forbidden")
    async with house.client("operator") as client:
        for body in (None, {}, {"reason": 3}):
            refused = await client.post(f"/v1/runs/{run}:rollback", json=body)
            assert_problem(refused, 422, "invalid_body")
        answer = await client.post(f"/v1/runs/{run}:rollback", json=because)
        assert (answer.status_code, answer.json()["status"]) == (202, "blocked")
        assert "names no compensation" in answer.json()["waiting_for"]
        assert_problem(await client.post(f"/v1/runs/{run}:rollback", json=because), 409, "illegal_transition")
        assert_problem(await client.post(f"/v1/runs/{run}:cancel"), 409, "illegal_transition")
        shown = (await client.get(f"/v1/runs/{run}")).json()
        assert shown["rollback_requested"]
        undo = next(step["name"] for step in shown["steps"] if step["status"] == "blocked")
        resolving = {"key": undo, "done": True, "reason": "fetched it back"}
        assert (await client.post(f"/v1/runs/{run}:resolve", json=resolving)).status_code == 200
        assert await house.ended(run) == "rolled-back"
        stream = await client.get(f"/v1/runs/{run}/events", headers={"accept": "text/event-stream"})
        kinds = [
            line.removeprefix("event: ") for line in stream.text.splitlines() if line.startswith("event:")
        ]
        assert [kind for kind in kinds if kind.startswith("run.")] == [
            "run.created",
            "run.closed",
            "run.rollback_requested",
            "run.closed",
        ]
        assert kinds[-1] == "end"


async def test_cost_is_summed_by_role(house):
    run, approval = await house.held()
    await house.approve(approval)
    assert await house.ended(run) == "completed"
    async with house.client("viewer") as client:
        cost = (await client.get(f"/v1/runs/{run}/cost")).json()
    assert cost["total"] == {"micro_usd": 0, "usd": "0.00"}
    assert [line["capability"] for line in cost["lines"]] == ["shop.ship@1.0.0"]
    assert cost["by_role"][0]["calls"] == 1
