"""Four eyes over HTTP: an admin who makes a second person in a hurry gains nothing; a real one decides at once."""

import pytest
from http_house import House, assert_problem

pytestmark = pytest.mark.postgres_when_long


async def waiting(house: House) -> dict:
    run = await house.submit("ship", role="admin")
    await house.until(run, lambda status: status == "waiting-for-approval")
    async with house.client("admin") as client:
        return (await client.get("/v1/approvals", params={"run": run})).json()["approvals"][0]


async def secret_of(house: House, body: dict) -> dict[str, str]:
    async with house.client("admin") as client:
        made = await client.post("/v1/keys", json=body)
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['secret']}"}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "bob", "role": "approver", "groups": ["shippers"]},
        {"identity": "home-approver"},
        {"name": "bob", "role": "admin", "groups": ["shippers"]},
    ],
    ids=["a-new-approver", "a-key-of-an-approver", "another-admin"],
)
async def test_an_admin_cannot_approve_the_own_run_by_a_key_it_minted(house: House, body: dict) -> None:
    row = await waiting(house)
    bearer = await secret_of(house, body)
    async with house.client("") as client:
        for verb in ("approve", "reject"):
            answer = await client.post(
                f"/v1/approvals/{row['id']}:{verb}", json={"digest": row["digest"]}, headers=bearer
            )
            assert_problem(answer, 403, "made_by_requester")
    await house.approve(row["id"])
    async with house.client("viewer") as client:
        shown = (await client.get(f"/v1/approvals/{row['id']}")).json()["approval"]
        events = (await client.get(f"/v1/runs/{row['run']}/events")).json()["events"]
    assert shown["decided_by"] == "home-approver"
    assert shown["decider"] != shown["requester"]
    assert {(one["what"], one["by"]) for one in shown["able"]} >= {("created", "the platform")}
    (granted,) = [event for event in events if event.get("cause") == row["id"]]
    assert (granted["identity"], granted["api_key"]) == (shown["decider"], shown["decider_key"])


async def test_a_taken_name_is_refused(house: House) -> None:
    async with house.client("admin") as client:
        for name in ("home-approver", "home-admin"):
            answer = await client.post("/v1/keys", json={"name": name, "role": "approver"})
            assert_problem(answer, 409, "name_taken")


async def test_who_looks_at_readiness_is_told_of_the_first_steps(house: House) -> None:
    async with house.client("") as client:
        assert (await client.get("/readyz")).json()["notes"] == []
        house.platform.standings.hours = 0.0
        (note,) = (await client.get("/readyz")).json()["notes"]
    assert "first steps" in note
