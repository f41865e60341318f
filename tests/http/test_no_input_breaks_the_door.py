"""P18: whatever is sent to whatever route, the answer is a refusal with a code, cheap, and the server lives on."""

import re
import time
from collections import Counter

import httpx2
import pytest
from hostile_corpus import BODIES, COUNT, HEADERS, IDS, QUERY
from http_house import House

pytestmark = pytest.mark.postgres_when_long

CPU_SECONDS = 0.25
_CODE = re.compile(r"[a-z][a-z_]+")
ABSENT = {"id": "run_" + "0" * 26, "digest": "0" * 64, "seq": "1"}


class Prober:
    """Asks, and holds each answer to the promise."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.codes: Counter[str] = Counter()

    async def ask(self, case: object, method: str, path: str, **request: object) -> httpx2.Response:
        began = time.process_time()
        answer = await self.client.request(method, path, **request)
        spent = time.process_time() - began
        if spent > CPU_SECONDS:  # others work in this process too: once more, alone if chance has it
            began = time.process_time()
            answer = await self.client.request(method, path, **request)
            spent = time.process_time() - began
        assert answer.status_code < 500, (case, method, path[:100], answer.text[:300])
        if answer.status_code >= 400:
            assert spent <= CPU_SECONDS, (case, method, path[:100], spent)
            assert answer.headers["content-type"] == "application/problem+json", (case, path[:100])
            problem = answer.json()
            assert problem["status"] == answer.status_code
            assert _CODE.fullmatch(problem["code"]), problem
            assert problem["remedy"], problem
            assert len(answer.content) < 100_000, (case, len(answer.content))
            self.codes[problem["code"]] += 1
        else:
            self.codes["taken"] += 1
        return answer


async def described(house: House) -> dict[str, dict[str, dict[str, object]]]:
    async with house.client("") as client:
        return (await client.get("/openapi.json")).json()["paths"]


def filled(path: str, id: str = "") -> str:
    return re.sub(r"\{(\w+)\}", lambda match: id or ABSENT[match[1]], path)


async def test_no_body_breaks_a_route(house: House) -> None:
    assert COUNT >= 150, COUNT
    async with house.client("admin") as client:
        prober = Prober(client)
        routes = [path for path, operations in (await described(house)).items() if "post" in operations]
        assert len(routes) >= 9
        for path in routes:
            for case, body in BODIES.items():
                headers = {
                    "Idempotency-Key": f"h-{len(prober.codes)}-{case}",
                    "Content-Type": "application/json",
                }
                await prober.ask(case, "POST", filled(path), content=body, headers=headers)
        assert sum(prober.codes.values()) == len(routes) * len(BODIES)
        assert prober.codes["invalid_json"] >= 40 * len(routes), prober.codes
        assert prober.codes["too_large"] == 2 * len(routes), prober.codes
        assert (await client.get("/healthz")).status_code == 200


async def test_no_id_breaks_a_route_or_finds_anything(house: House) -> None:
    async with house.client("admin") as client:
        prober = Prober(client)
        asked = 0
        for path, operations in (await described(house)).items():
            for method in operations if "{" in path else ():
                for id in IDS:
                    asked += 1
                    body = {"content": b"{}"} if method == "post" else {}
                    await prober.ask(id[:40], method, filled(path, id), **body)
        assert sum(prober.codes.values()) == asked >= 12 * len(IDS)
        # A path that collapses to a route of its own (`?x`, `..`, `#`) may be answered; an id never is.
        assert prober.codes["not_found"] > asked // 3, prober.codes


async def test_no_header_breaks_a_route(house: House) -> None:
    async with house.client("viewer") as client:
        prober = Prober(client)
        for path, operations in (await described(house)).items():
            for method in operations:
                for name, value in HEADERS:
                    given = [(name.encode(), value.encode())]
                    await prober.ask(name, method, filled(path), headers=given)
        assert prober.codes["unauthenticated"] > 0


async def test_no_query_breaks_a_route(house: House) -> None:
    async with house.client("admin") as client:
        prober = Prober(client)
        asked = 0
        for path, operations in (await described(house)).items():
            for method, operation in operations.items():
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] != "query":
                        continue
                    for value in QUERY:
                        asked += 1
                        await prober.ask(value[:40], method, filled(path), params={parameter["name"]: value})
        assert asked >= 5 * len(QUERY)
