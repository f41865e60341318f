"""P19: with one tenant's key, an id of another is answered as one that never was: each route, each kind of id."""

import re

from http_house import House, assert_problem

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
BODIES = {
    "/v1/runs/{id}:resolve": {"key": "k", "done": False},
    "/v1/runs/{id}:choose": {"step": "s", "take": "t"},
    "/v1/runs/{id}:erase": {"reason": "ticket 17"},
    "/v1/runs/{id}/events/{seq}:erase": {"reason": "ticket 17"},
    "/v1/halts": {"scope": "app", "target": "elsewhere", "reason": "drill"},
}
PLACES = ("id", "digest", "seq")
FREE = ("status", "app", "limit", "cursor", "after", "run", "event", "state", "old")


def absent_like(id: str) -> str:
    kind, mark, _ = id.partition("_")
    return f"{kind}_{'0' * 26}" if mark else "0" * len(id)


async def owned(house: House) -> dict[str, str]:
    """Make one thing of each kind in the home tenant, and name it."""
    run, approval = await house.held()
    async with house.client("admin") as admin:
        halt = (await admin.post("/v1/halts", json=BODIES["/v1/halts"])).json()["id"]
        key = (await admin.get("/v1/keys")).json()["keys"][0]["id"]
        shown = (await admin.get(f"/v1/runs/{run}")).json()
    return {"run": run, "approval": approval, "halt": halt, "key": key, "artifact": shown["plan_digest"]}


async def test_every_route_answers_foreign_and_absent_ids_alike(house: House) -> None:
    things = await owned(house)
    async with house.client("") as anyone:
        paths = (await anyone.get("/openapi.json")).json()["paths"]
    pairs = 0
    async with house.client("foreign") as client:
        for path, operations in paths.items():
            assert set(re.findall(r"\{(\w+)\}", path)) <= set(PLACES), f"{path}: say how its ids are made"
            for method, operation in operations.items():
                wanted = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
                assert set(wanted) <= set(FREE), f"{path}: a new parameter; is it an id?"
                streams = (
                    "text/event-stream" in str(operation["responses"]["200"]) if method == "get" else False
                )
                kinds = things.items() if "{" in path else ()
                for _kind, own in kinds:
                    for accept in ("*/*", *(("text/event-stream",) if streams else ())):
                        answers = []
                        for id in (own, absent_like(own)):
                            body = BODIES.get(path, {}) if method == "post" else None
                            answer = await client.request(
                                method,
                                path.replace("{id}", id).replace("{digest}", id).replace("{seq}", "1"),
                                json=body,
                                headers={**PARENT, "Accept": accept},
                            )
                            assert 400 <= answer.status_code < 500
                            headers = {
                                name: value for name, value in answer.headers.items() if name != "traceparent"
                            }
                            answers.append(
                                (answer.status_code, headers, answer.content.replace(id.encode(), b"ID"))
                            )
                        assert answers[0] == answers[1], (method, path, own)
                        pairs += 1
        assert pairs >= 13 * len(things)


async def test_ids_in_queries_and_bodies_reach_nothing_of_others(house: House) -> None:
    things = await owned(house)
    run = things["run"]
    async with house.client("foreign") as client:
        for name in ("cursor", "app", "run"):
            for kind in ("runs", "approvals", "halts"):
                for value in (run, "shop"):
                    page = await client.get(f"/v1/{kind}", params={name: value})
                    assert page.status_code in (200, 422)
                    assert page.status_code == 422 or next(iter(page.json().values())) == []
        for event in (f"{run}.1", f"{absent_like(run)}.1"):
            assert_problem(await client.get("/v1/audit/proof", params={"event": event}), 404, "not_found")
        exported = await client.get("/v1/audit/export")
        assert all(thing.encode() not in exported.content for thing in things.values())
        keys = (await client.get("/v1/keys")).json()["keys"]
        assert [key["name"] for key in keys] == ["abroad-admin"]
    async with house.client("admin") as admin:
        assert (await admin.get(f"/v1/runs/{run}")).json()["run"]["status"] == "waiting-for-approval"
