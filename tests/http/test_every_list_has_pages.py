"""Every list of the API comes in pages that together are the list, each item once, whatever the page's size."""

import pytest

from bailiwick.policy import Role

LISTS = ("approvals", "halts", "budgets", "keys", "identities", "tenants", "runs")


async def filled(house):
    """Leave several of everything in the house."""
    run, _ = await house.held()
    for n in range(3):
        await house.submit("ship", key=f"ship-{n}")
        await house.platform.keyring.issue("home", name=f"helper-{n}", role=Role.VIEWER, groups=(), by="test")
    async with house.client() as client:
        for n in range(3):
            body = {"scope": "feature", "name": f"f\u00e9{n}", "limit_usd": "1"}
            assert (await client.post("/v1/budgets", json=body)).status_code == 200
            halt = {"scope": "agent", "target": f"nobody-{n}", "reason": "a list"}
            assert (await client.post("/v1/halts", json=halt)).status_code == 201
    return run


async def followed(client, path, field, limit):
    """Follow the links from the first page to the last."""
    found, cursors, address = [], 0, f"{path}?limit={limit}"
    while address:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page[field]) <= limit
        found += page[field]
        link = answer.headers.get("link", "")
        assert bool(link) == bool(page["next_cursor"])
        address = link.partition("<")[2].partition(">")[0]
        cursors += 1
    return found, cursors


@pytest.mark.parametrize("field", LISTS)
async def test_the_pages_of_a_list_are_the_list(house, field):
    await filled(house)
    async with house.client("admin") as client:
        whole, _ = await followed(client, f"/v1/{field}", field, 200)
        small, pages = await followed(client, f"/v1/{field}", field, 2)
    assert small == whole
    assert len({item["id"] for item in whole}) == len(whole) >= (1 if field == "tenants" else 3)
    assert pages == -(-len(whole) // 2)


async def test_the_lines_of_a_cost_come_in_pages_and_the_sums_are_of_all(house):
    run = await house.submit("look")
    assert await house.ended(run) == "completed"
    async with house.client() as client:
        path = f"/v1/runs/{run}/cost"
        whole, _ = await followed(client, path, "lines", 200)
        small, _ = await followed(client, path, "lines", 1)
        page = (await client.get(f"{path}?limit=1")).json()
    assert small == whole
    assert sum(role["calls"] for role in page["by_role"]) == len(whole)
    assert page["total"]["micro_usd"] == sum(line["cost"]["micro_usd"] for line in whole)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "cursor=%00", "cursor=x.y", "cursor=" + "1" * 40]
)
async def test_a_page_that_there_cannot_be_is_refused(house, query):
    async with house.client() as client:
        answer = await client.get(f"/v1/approvals?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"]
