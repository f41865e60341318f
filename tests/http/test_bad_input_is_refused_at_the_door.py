"""Bad input: refused with its own code, the facts and the way out, and nothing is half-written."""

import asyncio
import json

import httpx2
import pytest
from http_house import House, assert_problem, served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailiwick.http import Limits

pytestmark = pytest.mark.postgres_when_long

GOOD = {"app": "shop", "workflow": "note", "input": {"text": "hello"}}
MEGABYTE = 1_048_576


def but(**changed):
    return json.dumps({**GOOD, **changed}).encode()


BODIES = {
    "no-json": (b"{", 400, "invalid_json"),
    "prose": (b"hello", 400, "invalid_json"),
    "not-utf8": (b'{"app": "\xff"}', 400, "invalid_json"),
    "two-keys": (b'{"app": "shop", "app": "other"}', 400, "invalid_json"),
    "nan": (b'{"app": NaN}', 400, "invalid_json"),
    "nul": (b'{"app": "a\\u0000"}', 400, "invalid_json"),
    "surrogate": (b'{"app": "\\ud800"}', 400, "invalid_json"),
    "integer": (b'{"deadline_seconds": 9007199254740992}', 400, "invalid_json"),
    "deep": (b"[" * 100_000, 400, "invalid_json"),
    "huge-number": (b'{"deadline_seconds": 1e999}', 400, "invalid_json"),
    "list": (b"[]", 422, "invalid_intent"),
    "null": (b"null", 422, "invalid_intent"),
    "nothing": (b"", 422, "invalid_intent"),
    "unknown-field": (but(buget="1"), 422, "invalid_intent"),
    "wrong-type": (but(input=[]), 422, "invalid_intent"),
    "wrong-label": (but(labels={"feature": 1}), 422, "invalid_intent"),
    "input-schema": (but(input={"text": 1}), 422, "invalid_intent"),
    "budget-zero": (but(budget_usd="0"), 422, "invalid_budget"),
    "budget-negative": (but(budget_usd="-1"), 422, "invalid_budget"),
    "budget-words": (but(budget_usd="lots"), 422, "invalid_budget"),
    "deadline-past": (but(deadline="2020-01-01T00:00:00Z"), 422, "deadline_expired"),
    "deadline-no-offset": (but(deadline="2090-01-01T00:00:00"), 422, "bad_input"),
    "deadline-far": (but(deadline="9999-01-01T00:00:00Z"), 422, "invalid_intent"),
    "deadline-ago": (but(deadline_seconds=-5), 422, "deadline_expired"),
    "deadline-long-ago": (but(deadline_seconds=-(2**53) + 1), 422, "deadline_expired"),
    "deadline-in-ages": (but(deadline_seconds=2**53 - 1), 422, "invalid_intent"),
    "priority-far": (but(priority=4), 422, "invalid_intent"),
    "priority-huge": (but(priority=2**53 - 1), 422, "invalid_intent"),
    "priority-words": (but(priority="high"), 422, "invalid_intent"),
    "workflow": (but(workflow="none"), 404, "not_found"),
    "app": (but(app="none"), 404, "not_found"),
    "constraint": (but(constraints=["Make it nice"]), 422, "plan_refused"),
}


async def test_a_bad_intent_is_refused_with_its_own_code_and_nothing_is_written(house):
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    async with house.client("operator") as client:
        for case, (body, status, code) in BODIES.items():
            answer = await client.post("/v1/runs", content=body, headers=headers)
            assert (case, answer.status_code, answer.json()["code"]) == (case, status, code)
            assert_problem(answer, status, code)
        assert (await client.get("/v1/runs")).json()["runs"] == []
        assert (await client.post("/v1/runs", json=GOOD, headers=headers)).status_code == 201


async def test_errors_point_to_the_place(house):
    headers = {"Idempotency-Key": "k"}
    async with house.client("operator") as client:
        wrong = await client.post("/v1/runs", json={**GOOD, "constraints": ["a", 1]}, headers=headers)
        problem = assert_problem(wrong, 422, "invalid_intent")
        assert problem["errors"] == [{"pointer": "/constraints/1", "detail": "Expected `str`, got `int`"}]
        wrong = await client.post("/v1/runs", content=b'{"a": {"b": ["\\u0000"]}}', headers=headers)
        assert assert_problem(wrong, 400, "invalid_json")["errors"][0]["pointer"] == "/a/b/0"
        halt = await client.post("/v1/halts", json={"scope": "app", "reason": 1})
        assert assert_problem(halt, 422, "invalid_body")["errors"][0]["pointer"] == "/reason"


async def test_a_plan_that_is_refused_says_why_for_each_place(house):
    async with house.client("operator") as client:
        body = {**GOOD, "constraints": ["Make it nice"]}
        answer = await client.post("/v1/runs", json=body, headers={"Idempotency-Key": "k"})
    (error,) = assert_problem(answer, 422, "plan_refused")["errors"]
    assert (error["code"], error["pointer"]) == ("unknown_constraint", "/intent/constraints/0")
    assert "Single file only" in error["detail"]


async def test_a_body_of_another_type_is_refused(house):
    headers = {"Idempotency-Key": "k", "Content-Type": "application/x-www-form-urlencoded"}
    async with house.client("operator") as client:
        answer = await client.post("/v1/runs", content=json.dumps(GOOD), headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")


async def test_a_body_of_100_megabytes_is_cut_off_while_it_streams(house):
    read = 0

    async def pour():
        nonlocal read
        for _ in range(1600):
            read += 65_536
            yield b" " * 65_536

    async with house.client("operator") as client:
        answer = await client.post("/v1/runs", content=pour(), headers={"Idempotency-Key": "k"})
    assert_problem(answer, 413, "too_large")
    assert answer.headers["connection"] == "close"
    assert read <= MEGABYTE + 2 * 65_536


async def test_a_declared_size_is_refused_before_a_byte_is_read(house):
    async def pour():
        raise AssertionError("nobody should ask for the body")
        yield b""

    headers = {"Idempotency-Key": "k", "Content-Length": str(100 * MEGABYTE)}
    async with house.client("operator") as client:
        answer = await client.post("/v1/runs", content=pour(), headers=headers)
    assert assert_problem(answer, 413, "too_large")["facts"]["declared"] == 100 * MEGABYTE


async def test_whoever_has_no_key_is_refused_before_the_body_is_read(house):
    async def pour():
        raise AssertionError("nobody should ask for the body")
        yield b""

    async with house.client("") as client:
        answer = await client.post("/v1/runs", content=pour())
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_body_that_trickles_is_refused_in_time(house):
    never = asyncio.Event()

    async def trickle():
        yield b"{"
        await never.wait()

    async with house.client("operator", house.door(Limits(body_seconds=0.05))) as client:
        answer = await client.post("/v1/runs", content=trickle(), headers={"Idempotency-Key": "k"})
    assert_problem(answer, 408, "request_timeout")


async def test_what_is_no_key_of_ours_opens_nothing(house):
    good = f"Bearer {house.keys['viewer']}"
    async with house.client("") as client:
        for text in (
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            "Bearer bwk_" + "0" * 64,
            "Bearer \xff",
            "bwk_x",
            good + " b",
        ):
            header = ("Authorization", text.encode("latin-1"))
            assert_problem(await client.get("/v1/runs", headers=[header]), 401, "unauthenticated")
            two = [("Authorization", good.encode()), header]
            assert_problem(await client.get("/v1/runs", headers=two), 401, "unauthenticated")
        assert (await client.get("/v1/runs", headers={"Authorization": good})).status_code == 200


async def test_paths_and_methods_that_do_not_exist_are_problems_too(house):
    async with house.client() as client:
        assert_problem(await client.get("/v1/nothing"), 404, "no_such_route")
        assert_problem(await client.get("/v1/runs/"), 404, "no_such_route")
        assert_problem(await client.get("/docs"), 404, "no_such_route")
        wrong = await client.delete("/v1/runs")
        assert_problem(wrong, 405, "method_not_allowed")
        assert wrong.headers["allow"]
        assert_problem(await client.post("/v1/runs/run_1/events"), 405, "method_not_allowed")


async def test_a_mistake_of_ours_tells_the_trace_id_and_nothing_else(house, log):
    async def broken():
        raise RuntimeError("the secret is 12345")

    house.app.state.readiness = broken
    async with house.client("") as client:
        answer = await client.get("/readyz")
    problem = assert_problem(answer, 500, "internal")
    assert "12345" not in answer.text
    logged = [json.loads(line) for line in log.getvalue().splitlines()]
    failed = next(line for line in logged if line["event"] == "http.failed")
    assert failed["trace_id"] == problem["trace_id"]
    assert "RuntimeError" in failed["exception"]


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["..", "%2e%2e/", "run_1", "\u202e", "a" * 3000, "$", "*", "'--"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["app", "workflow", "title", "input", "constraints", "budget_usd", "deadline", "deadline_seconds",
          "labels", "priority", "scope", "target", "reason", "digest", "key", "done", "output", "step", "add_usd", "name",
          "role", "groups", "limit_usd", "period"]  # fmt: skip
LIKELY = st.sampled_from(
    ["shop", "note", "1.00", "app", "run", "viewer", "ship", {"text": "x"}, ["x"], True, -1]
)
HOSTILE = st.dictionaries(st.sampled_from(FIELDS) | TEXTS, LIKELY | VALUES, max_size=8)
ROUTES = [
    "/v1/runs", "/v1/runs/{id}:cancel", "/v1/runs/{id}:resume", "/v1/runs/{id}:resolve", "/v1/runs/{id}:choose", "/v1/approvals/{id}:approve",
    "/v1/approvals/{id}:reject", "/v1/halts", "/v1/halts/{id}:lift", "/v1/keys", "/v1/keys/{id}:revoke",
    "/v1/budgets",
]  # fmt: skip
READS = [
    "/v1/runs/{id}", "/v1/runs/{id}/events", "/v1/runs/{id}/cost", "/v1/runs/{id}/transcript", "/v1/approvals/{id}", "/v1/artifacts/{id}",
    "/v1/audit/proof?event={id}", "/v1/audit/proof?event={id}.1", "/v1/runs?cursor={id}", "/v1/runs?app={id}",
    "/v1/runs/{id}/events?after={id}", "/v1/approvals?run={id}&state={id}", "/{id}",
]  # fmt: skip


def test_no_hostile_request_makes_the_server_fail(tmp_path_factory, log):
    """One house, one loop, many requests: nothing is answered with 5xx, all refusals have the one shape."""
    with asyncio.Runner() as runner:
        opened = House(tmp_path_factory.mktemp("hostile")).open()
        house = runner.run(opened.__aenter__())
        client = house.client("admin")

        async def ask(method, route, id, body):
            path = route.replace("{id}", httpx2.QueryParams({"a": id}).__str__()[2:])
            content = None if body is None else json.dumps(body, allow_nan=True).encode()
            answer = await client.request(method, path, content=content, headers={"Idempotency-Key": "k"})
            assert answer.status_code < 500, (method, path, body, answer.text)
            if answer.status_code >= 400:
                assert_problem(answer, answer.status_code, answer.json()["code"])

        @settings(max_examples=150, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(ROUTES), TEXTS, HOSTILE)
        def post(route, id, body):
            runner.run(ask("POST", route, id, body))

        @settings(max_examples=100, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(READS), TEXTS)
        def get(route, id):
            runner.run(ask("GET", route, id, None))

        try:
            post()
            get()
            assert "http.failed" not in log.getvalue()
        finally:
            runner.run(client.aclose())
            runner.run(opened.__aexit__(None, None, None))


async def test_a_real_server_cuts_a_flood_off_and_serves_on(house):
    async with asyncio.timeout(20), served(house.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {house.keys['operator']}\r\n"
        writer.write(f"{head}Idempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        poured = 0
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        try:
            while poured < 100 * MEGABYTE and not reader.at_eof():
                writer.write(chunk)
                poured += 65_536
                await writer.drain()
        except ConnectionError:
            pass
        answered = await _all_of(reader)
        assert b"413" in answered.partition(b"\r\n")[0] or poured < 20 * MEGABYTE
        assert poured < 20 * MEGABYTE
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""
