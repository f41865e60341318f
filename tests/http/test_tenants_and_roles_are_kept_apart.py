"""Tenants never see each other, a foreign id looks like none, and a role does what it may and nothing else."""

import pytest
from http_house import assert_problem

from bailiwick.policy import PERMISSIONS, Permission, Role

pytestmark = pytest.mark.postgres_when_long

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
ABSENT = "0" * 26

# What each route needs; the document of the API must name the same routes.
NEEDS = {
    ("post", "/v1/runs"): Permission.RUNS_SUBMIT,
    ("get", "/v1/runs"): Permission.RUNS_READ,
    ("get", "/v1/runs/{id}"): Permission.RUNS_READ,
    ("get", "/v1/runs/{id}/events"): Permission.RUNS_READ,
    ("get", "/v1/runs/{id}/cost"): Permission.COST_READ,
    ("get", "/v1/runs/{id}/transcript"): Permission.AUDIT_READ,
    ("post", "/v1/runs/{id}:cancel"): Permission.RUNS_CANCEL,
    ("post", "/v1/runs/{id}:resume"): Permission.RUNS_RESUME,
    ("post", "/v1/runs/{id}:resolve"): Permission.RUNS_RESOLVE,
    ("post", "/v1/runs/{id}:choose"): Permission.RUNS_RESOLVE,
    ("post", "/v1/runs/{id}:rollback"): Permission.RUNS_ROLLBACK,
    ("post", "/v1/runs/{id}:erase"): Permission.PAYLOADS_ERASE,
    ("post", "/v1/runs/{id}/events/{seq}:erase"): Permission.PAYLOADS_ERASE,
    ("get", "/v1/approvals"): Permission.APPROVALS_READ,
    ("get", "/v1/approvals/{id}"): Permission.APPROVALS_READ,
    ("post", "/v1/approvals/{id}:approve"): Permission.APPROVALS_DECIDE,
    ("post", "/v1/approvals/{id}:reject"): Permission.APPROVALS_DECIDE,
    ("get", "/v1/halts"): Permission.HALTS_READ,
    ("post", "/v1/halts"): Permission.HALTS_SET,
    ("post", "/v1/halts/{id}:lift"): Permission.HALTS_LIFT,
    ("get", "/v1/budgets"): Permission.BUDGETS_READ,
    ("post", "/v1/budgets"): Permission.BUDGETS_SET,
    ("get", "/v1/identities"): Permission.KEYS_MANAGE,
    ("post", "/v1/identities"): Permission.KEYS_MANAGE,
    ("post", "/v1/identities/{id}:change"): Permission.KEYS_MANAGE,
    ("post", "/v1/identities/{id}:disable"): Permission.KEYS_MANAGE,
    ("post", "/v1/identities/{id}:enable"): Permission.KEYS_MANAGE,
    ("get", "/v1/tenants"): Permission.TENANTS_MANAGE,
    ("post", "/v1/tenants"): Permission.TENANTS_MANAGE,
    ("post", "/v1/tenants/{id}:disable"): Permission.TENANTS_MANAGE,
    ("post", "/v1/tenants/{id}:enable"): Permission.TENANTS_MANAGE,
    ("get", "/v1/keys"): Permission.KEYS_MANAGE,
    ("post", "/v1/keys"): Permission.KEYS_MANAGE,
    ("post", "/v1/keys/{id}:revoke"): Permission.KEYS_MANAGE,
    ("get", "/v1/audit/checkpoint"): Permission.AUDIT_READ,
    ("get", "/v1/audit/proof"): Permission.AUDIT_READ,
    ("get", "/v1/audit/growth"): Permission.AUDIT_READ,
    ("get", "/v1/audit/refusals"): Permission.AUDIT_READ,
    ("get", "/v1/audit/export"): Permission.AUDIT_READ,
    ("get", "/v1/artifacts/{digest}"): Permission.ARTIFACTS_READ,
}
BODIES = {
    "/v1/runs/{id}:rollback": {"reason": "it was wrong"},
    "/v1/runs": {"app": "shop", "workflow": "note", "input": {"text": "x"}},
    "/v1/runs/{id}:resolve": {"key": "k", "done": False},
    "/v1/runs/{id}:choose": {"step": "s", "take": "t"},
    "/v1/runs/{id}:erase": {"reason": "ticket 17"},
    "/v1/runs/{id}/events/{seq}:erase": {"reason": "ticket 17"},
    "/v1/halts": {"scope": "app", "target": "elsewhere", "reason": "drill"},
    "/v1/budgets": {"scope": "tenant", "limit_usd": "1000000"},
    "/v1/keys": {"name": "new", "role": "viewer"},
    "/v1/identities": {"name": "newer", "role": "viewer"},
    "/v1/identities/{id}:change": {"role": "viewer"},
    "/v1/tenants": {"id": "new"},
}
OPEN = ("/healthz", "/readyz", "/version", "/metrics")
ANY_KEY = ("/v1/schemas",)


async def routes_of(house):
    async with house.client("") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    return [(method, path) for path, operations in paths.items() for method in operations]


async def test_the_matrix_names_every_route(house):
    assert sorted(await routes_of(house)) == sorted([*NEEDS, *(("get", path) for path in (*OPEN, *ANY_KEY))])


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_what_the_table_says_and_nothing_else(house, role):
    run = await house.submit()
    await house.ended(run)
    async with house.client(role) as client:
        for (method, path), permission in NEEDS.items():
            address = path.replace("{id}", run).replace("{digest}", "0" * 64).replace("{seq}", "1")
            answer = await client.request(
                method,
                address,
                params={"event": f"{run}.1"} if path.endswith("proof") else None,
                json=BODIES.get(path, {}) if method == "post" else None,
                headers={"Idempotency-Key": f"by-{role}"},
            )
            allowed = permission in PERMISSIONS[role]
            assert (answer.status_code == 403) is not allowed, (method, path, answer.text)
            if not allowed:
                problem = assert_problem(answer, 403, "forbidden")
                assert problem["facts"]["permission"] == permission
            assert answer.status_code < 500


async def test_an_admin_of_another_tenant_learns_of_no_tenant(house):
    async with house.client("foreign") as client:
        for method, path in NEEDS:
            if not path.startswith("/v1/tenants"):
                continue
            answers = [
                await client.request(
                    method, path.replace("{id}", id), json=BODIES.get(path, {}), headers=PARENT
                )
                if method == "post"
                else await client.get(path, headers=PARENT)
                for id in ("home", "nowhere")
            ]
            for answer in answers:
                assert_problem(answer, 403, "not_the_operator")
            assert {answer.json()["detail"] for answer in answers} == {answers[0].json()["detail"]}


async def test_without_a_key_only_the_operating_routes_answer(house):
    async with house.client("") as client:
        for method, path in await routes_of(house):
            answer = await client.request(
                method, path.replace("{id}", "x").replace("{digest}", "x").replace("{seq}", "1")
            )
            if path in OPEN:
                assert answer.status_code == 200, path
            else:
                assert_problem(answer, 401, "unauthenticated")


async def test_a_foreign_id_is_answered_like_an_absent_one_on_every_route(house):
    run, approval = await house.held()
    async with house.client("admin") as admin:
        halt = (await admin.post("/v1/halts", json=BODIES["/v1/halts"])).json()["id"]
        key = (await admin.get("/v1/keys")).json()["keys"][0]["id"]
        identity = (await admin.get("/v1/identities")).json()["identities"][0]["id"]
        shown = (await admin.get(f"/v1/runs/{run}")).json()
    foreign = {
        "runs": run,
        "approvals": approval,
        "halts": halt,
        "keys": key,
        "identities": identity,
        "artifacts": shown["plan_digest"],
    }
    async with house.client("foreign") as client:
        asked = 0
        for method, path in await routes_of(house):
            if "{" not in path or path.startswith("/v1/tenants/"):
                continue
            asked += 1
            kind = path.split("/")[2]
            own = foreign[kind]
            absent = "0" * 64 if kind == "artifacts" else f"{own.partition('_')[0]}_{ABSENT}"
            answers = []
            for id in (own, absent):
                address = path.replace("{id}", id).replace("{digest}", id).replace("{seq}", "1")
                body = BODIES.get(path, {}) if method == "post" else None
                answer = await client.request(method, address, json=body, headers=PARENT)
                assert_problem(answer, 404, "not_found")
                headers = {name: value for name, value in answer.headers.items() if name != "traceparent"}
                answers.append((headers, answer.content.replace(id.encode(), b"ID")))
            assert answers[0] == answers[1], path
        assert asked == 20
        listed = [(await client.get(f"/v1/{kind}")).json() for kind in ("runs", "approvals", "halts")]
        assert [next(iter(page.values())) for page in listed] == [[], [], []]
        stream = await client.get(f"/v1/runs/{run}/events", headers={"Accept": "text/event-stream"})
        assert_problem(stream, 404, "not_found")
        proof = await client.get("/v1/audit/proof", params={"event": f"{run}.1"})
        assert_problem(proof, 404, "not_found")
    async with house.client("admin") as admin:
        assert (await admin.get(f"/v1/runs/{run}")).json()["run"]["status"] == "waiting-for-approval"
        assert [row["id"] for row in (await admin.get("/v1/halts")).json()["halts"]] == [halt]
        revoked = [row["revoked_at"] for row in (await admin.get("/v1/keys")).json()["keys"]]
        assert not any(revoked)


async def test_a_tenant_named_in_the_request_changes_nothing(house):
    run = await house.submit()
    async with house.client("foreign") as client:
        for sly in ({"params": {"tenant": "home"}}, {"headers": {"X-Tenant": "home", "Tenant": "home"}}):
            assert_problem(await client.get(f"/v1/runs/{run}", **sly), 404, "not_found")
            assert (await client.get("/v1/runs", **sly)).json()["runs"] == []
