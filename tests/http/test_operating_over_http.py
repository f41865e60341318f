"""Operating: health, readiness, version, metrics, the document, trace context and headers on every answer."""

import json
import re

import jsonschema_rs
import pytest
from http_house import House, assert_problem
from prometheus_client.openmetrics.parser import text_string_to_metric_families

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_health_and_readiness_are_told_apart(house):
    async with house.client("") as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (
            200,
            {"ready": True, "checks": {"store": True, "worker": True}, "reasons": {}, "notes": []},
        )
        house.ready = False
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["worker"]) == (503, False)
        assert answer.json()["reasons"] == {"worker": "it rests"}
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/version")).json() == {"name": "bailiwick", "version": "0.1.0", "api": "v1"}


async def test_the_caller_s_trace_goes_on_in_the_answer_and_in_the_run(house, log):
    async with house.client("operator") as client:
        answer = await client.get("/v1/runs", headers={"traceparent": PARENT})
        version, trace, span, flags = answer.headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", PARENT.split("-")[1], "01")
        assert span != PARENT.split("-")[2]
        made = await client.post(
            "/v1/runs",
            json={"app": "shop", "workflow": "note", "input": {"text": "x"}},
            headers={"traceparent": PARENT, "Idempotency-Key": "k"},
        )
        assert made.json()["trace_id"] == trace
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["trace_id"] for line in lines if line["event"] == "http.request"} == {trace}


NO_PARENTS = [
    "",
    "x",
    PARENT.upper(),
    PARENT + "-more",
    PARENT.replace("00-", "ff-", 1),
    f"00-{'0' * 32}-b7ad6b7169203331-01",
    f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    PARENT + "\x00",
]


async def test_what_is_no_trace_context_begins_a_new_trace(house):
    async with house.client("") as client:
        for parent in NO_PARENTS:
            answer = await client.get("/healthz", headers={"traceparent": parent.encode()})
            given = answer.headers["traceparent"]
            assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", given), parent
            assert given.split("-")[1] not in ("0" * 32, PARENT.split("-")[1]), parent


async def test_every_answer_carries_the_security_headers(house):
    async with house.client() as client:
        for path in ("/healthz", "/v1/runs", "/v1/nothing", "/metrics", "/openapi.json"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers
        asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
        answer = await client.options("/v1/runs", headers=asked)
        assert_problem(answer, 405, "method_not_allowed")


async def test_the_document_describes_what_is_answered(house):
    run, approval = await house.held()
    async with house.client() as client:
        answer = await client.get("/openapi.json")
        document = answer.json()
        assert document["openapi"] == "3.1.0"
        references = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
        assert references <= set(document["components"]["schemas"])
        assert document["paths"]["/v1/runs"]["post"]["security"] == [{"apiKey": []}]
        assert document["paths"]["/healthz"]["get"]["security"] == []
        assert document["servers"] == [{"url": "/", "description": "this server"}]
        names = [
            ("/v1/runs", "/v1/runs"), ("/v1/runs/{id}", f"/v1/runs/{run}"), ("/v1/halts", "/v1/halts"),
            ("/v1/runs/{id}/events", f"/v1/runs/{run}/events"), ("/v1/runs/{id}/cost", f"/v1/runs/{run}/cost"),
            ("/v1/approvals", "/v1/approvals"), ("/v1/approvals/{id}", f"/v1/approvals/{approval}"),
            ("/v1/keys", "/v1/keys"), ("/v1/audit/checkpoint", "/v1/audit/checkpoint"), ("/readyz", "/readyz"),
        ]  # fmt: skip
        for path, address in names:
            schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"][
                "schema"
            ]
            whole = {**schema, "components": document["components"]}
            jsonschema_rs.validate(whole, (await client.get(address)).json())
        problem = (await client.get("/v1/runs/none")).json()
        jsonschema_rs.validate(
            {"$ref": "#/components/schemas/Problem", "components": document["components"]}, problem
        )
        for operations in document["paths"].values():
            for operation in operations.values():
                assert operation["responses"]["default"]["content"]["application/problem+json"]


async def test_metrics_tell_what_happened_without_naming_runs(house: House):
    run, approval = await house.held()
    async with house.client("approver") as client:
        await house.approve(approval)
        assert await house.ended(run) == "completed"
        assert await house.ended(await house.submit("look", key="look")) == "completed"
        await client.get("/v1/runs/none")
        await client.get(f"/v1/runs/{run}")
    async with house.client("admin") as client:
        text = (await client.get("/metrics")).text
        openmetrics = await client.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=x.y"}
        )
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(openmetrics.text)}
    assert families["bailiwick_runs_closed"].samples[0].labels == {"status": "completed", "app": "shop"}
    wanted = [
        'bailiwick_http_requests_total{method="GET",route="/v1/runs/{id}",status="404"} 1.0',
        'bailiwick_http_requests_total{method="POST",route="/v1/runs",status="201"} 2.0',
        'bailiwick_refusals_total{code="not_found"} 1.0',
        'bailiwick_runs_created_total{app="shop"} 2.0',
        'bailiwick_approvals_total{decision="requested"} 1.0',
        'bailiwick_approvals_total{decision="approved"} 1.0',
        'bailiwick_approvals_total{decision="consumed"} 1.0',
        'bailiwick_actions_total{effect="idempotent-write",state="done"} 1.0',
        'bailiwick_hop_seconds_count{hop="submit"} 2.0',
        'bailiwick_run_stage_seconds_count{stage="context"} 2.0',
        'bailiwick_run_stage_seconds_count{stage="execute"} 2.0',
        'bailiwick_cost_micro_usd_total{app="shop",feature=""} 0.0',
    ]
    for line in wanted:
        assert line in text, line
    for hop in ("claim", "act", "settle", "finish", "commit"):
        assert f'bailiwick_hop_seconds_count{{hop="{hop}"}}' in text, hop
    assert run not in text
    assert approval not in text


async def test_what_tenants_named_is_counted_for_the_operator_alone(house):
    await house.ended(await house.submit("look"))
    async with house.client("") as client:
        told = (await client.get("/metrics")).text
    assert "bailiwick_runs_created_total 1.0" in told
    assert 'app="' not in told
    assert 'model="' not in told
    for role in ("viewer", "operator", "approver", "foreign"):
        async with house.client(role) as client:
            assert 'app="' not in (await client.get("/metrics")).text, role
    for role in ("admin", "platform"):
        async with house.client(role) as client:
            for accept in ("text/plain", "application/openmetrics-text"):
                told = (await client.get("/metrics", headers={"Accept": accept})).text
                assert 'bailiwick_runs_created_total{app="shop"} 1.0' in told, role
    async with house.client("") as client:
        refused = await client.get("/metrics", headers={"Authorization": "Bearer nobody"})
    assert_problem(refused, 401, "unauthenticated")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/version", "/metrics"])
async def test_what_is_open_is_asked_by_head_too(house, path):
    async with house.client() as client:
        assert (await client.head(path)).status_code == (await client.get(path)).status_code


async def test_blanks_around_a_traceparent_belong_to_no_trace(house):
    async with house.client() as client:
        answer = await client.get("/healthz", headers={"traceparent": f"{PARENT} \t"})
        assert answer.headers["traceparent"].split("-")[1] == PARENT.split("-")[1]


async def test_what_is_no_json_is_not_declared_as_json(house):
    """A client that is generated from the document would parse an export, an artifact or metrics, and break."""
    async with house.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    declared = {
        path: sorted(paths[path]["get"]["responses"]["200"]["content"])
        for path in ("/metrics", "/v1/audit/export", "/v1/artifacts/{digest}", "/v1/runs")
        if path in paths
    }
    assert declared.pop("/v1/runs") == ["application/json"]
    assert len(declared) == 3, sorted(paths)
    assert all("application/json" not in kinds and len(kinds) == 1 for kinds in declared.values()), declared
