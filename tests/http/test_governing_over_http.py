"""Approvals, halts and keys over HTTP: one decision stands, a halt stops, a key opens until it is revoked."""

from http_house import assert_problem


async def test_an_approval_shows_what_would_run_and_lets_it_run_once(house):
    run, approval = await house.held()
    async with house.client("approver") as client:
        shown = (await client.get(f"/v1/approvals/{approval}")).json()
        assert shown["action"]["arguments"] == {"item": "hat"}
        assert shown["approval"]["holds"][0]["id"] == "shop.ship-approved"
        assert shown["approval"]["holds"][0]["reason"] == "shipping needs a shipper"
        assert shown["approval"]["state"] == "pending"
        assert shown["run"]["id"] == run
        assert shown["run"]["spent"] == {"micro_usd": 0, "usd": "0.00"}
        assert house.shipped == []
        wrong = await client.post(f"/v1/approvals/{approval}:approve", json={"digest": "0" * 64})
        assert assert_problem(wrong, 409, "grant_mismatch")["facts"]["waiting"] == shown["approval"]["digest"]
        decision = {"digest": shown["approval"]["digest"], "reason": "fine"}
        decided = await client.post(f"/v1/approvals/{approval}:approve", json=decision)
        assert decided.json()["state"] == "approved"
        assert decided.json()["decided_by"] == "home-approver"
        assert await house.ended(run) == "completed"
        assert_problem(await client.post(f"/v1/approvals/{approval}:reject"), 409, "already_decided")
        listed = (await client.get("/v1/approvals", params={"state": "all"})).json()["approvals"]
        assert [row["id"] for row in listed] == [approval]
        assert (await client.get("/v1/approvals")).json()["approvals"] == []
    assert len(house.shipped) == 1


async def test_the_requester_cannot_approve(house):
    run = await house.submit("ship", role="admin")
    await house.until(run, lambda status: status == "waiting-for-approval")
    async with house.client("admin") as client:
        approval = (await client.get("/v1/approvals")).json()["approvals"][0]["id"]
        assert_problem(await client.post(f"/v1/approvals/{approval}:approve"), 403, "self_approval")


async def test_a_halt_stops_and_a_lift_is_a_named_act(house):
    async with house.client("admin") as client:
        made = await client.post("/v1/halts", json={"scope": "app", "target": "shop", "reason": "drill"})
        assert made.status_code == 201
        halt = made.json()
        assert halt["set_by"] == "home-admin"
        run = await house.submit("ship")
        await house.until(run, lambda status: status == "blocked")
        waiting = (await client.get(f"/v1/runs/{run}")).json()["run"]["waiting_for"]
        assert halt["id"] in waiting
        lifted = await client.post(f"/v1/halts/{halt['id']}:lift")
        assert lifted.json()["lifted_by"] == "home-admin"
        assert_problem(await client.post(f"/v1/halts/{halt['id']}:lift"), 404, "not_found")
        assert (await client.get("/v1/halts")).json() == {"halts": [], "next_cursor": ""}
        assert await house.until(run, lambda status: status == "waiting-for-approval")


async def test_a_halt_without_a_scope_or_target_is_refused(house):
    async with house.client("admin") as client:
        for scope in ("", "world", "app", "run"):
            answer = await client.post("/v1/halts", json={"scope": scope, "reason": "x"})
            assert_problem(answer, 422, "invalid_halt")
        assert (await client.get("/v1/halts")).json() == {"halts": [], "next_cursor": ""}


async def test_a_key_is_shown_once_opens_and_can_be_revoked(house):
    async with house.client("admin") as client:
        made = await client.post("/v1/keys", json={"name": "ci", "role": "operator", "groups": ["a"]})
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        key, secret = made.json()["key"], made.json()["secret"]
        listed = (await client.get("/v1/keys")).text
        assert key["id"] in listed
        assert secret not in listed
        assert "mac" not in listed
        bearer = {"Authorization": f"Bearer {secret}"}
        assert (await client.get("/v1/runs", headers=bearer)).status_code == 200
        assert_problem(await client.get("/v1/keys", headers=bearer), 403, "forbidden")
        revoked = await client.post(f"/v1/keys/{key['id']}:revoke")
        assert revoked.json()["revoked_at"]
        assert_problem(await client.get("/v1/runs", headers=bearer), 401, "unauthenticated")
        wrong = await client.post("/v1/keys", json={"name": "x", "role": "god"})
        assert assert_problem(wrong, 422, "invalid_body")["errors"][0]["pointer"] == "/role"
