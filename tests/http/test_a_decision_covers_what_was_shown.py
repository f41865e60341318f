"""A decision over HTTP covers the action that was shown, or is refused; what is shown is what is hashed."""

import asyncio
import hashlib
import json
import unicodedata

import pytest
from http_house import House, assert_problem

RACERS = 64


def bodies(digest: str) -> dict[str, bytes]:
    """Bodies of a decision that must not be taken, by what is wrong with them."""
    said = json.dumps
    return {
        "another-digest": said({"digest": "0" * 64}).encode(),
        "one-digit-off": said({"digest": ("1" if digest[0] != "1" else "2") + digest[1:]}).encode(),
        "upper-case": said({"digest": digest.upper()}).encode(),
        "a-prefix": said({"digest": digest[:63]}).encode(),
        "a-short-prefix": said({"digest": digest[:16]}).encode(),
        "one-digit-more": said({"digest": digest + "0"}).encode(),
        "a-space": said({"digest": f"{digest} "}).encode(),
        "a-line-end": said({"digest": f"{digest}\n"}).encode(),
        "a-scheme": said({"digest": f"sha256:{digest}"}).encode(),
        "full-width": said({"digest": chr(0xFF10 + int(digest[0], 16) % 10) + digest[1:]}).encode(),
        "a-zero-width-space": said({"digest": f"\u200b{digest}"}).encode(),
        "a-list": said({"digest": [digest]}).encode(),
        "null": said({"digest": None}).encode(),
        "a-number": said({"digest": int(digest[:12], 16)}).encode(),
        "twice": b'{"digest": "' + b"0" * 64 + b'", "digest": "' + digest.encode() + b'"}',
        "another-field": said({"digest": digest, "arguments": {"item": "crown"}}).encode(),
        "another-case": said({"Digest": digest}).encode(),
        "the-action": said({"action": {"arguments": {"item": "crown"}}}).encode(),
        "a-list-of-bodies": said([{"digest": digest}]).encode(),
        "no-json": digest.encode(),
        "cut": said({"digest": digest}).encode()[:-1],
    }


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_a_decision_on_anything_else_than_what_was_shown_is_refused(house: House, verb: str) -> None:
    run, approval = await house.held()
    async with house.client("approver") as client:
        digest = (await client.get(f"/v1/approvals/{approval}")).json()["approval"]["digest"]
        wrong = bodies(digest)
        assert len(wrong) == 21
        for name, body in wrong.items():
            headers = {"Content-Type": "application/json"}
            answer = await client.post(f"/v1/approvals/{approval}:{verb}", content=body, headers=headers)
            assert 400 <= answer.status_code < 500, name
            assert answer.json()["code"] in ("grant_mismatch", "invalid_json", "invalid_body"), name
        for id in (f"{approval}0", approval[:-1], approval.upper(), f"{approval}%20", "apr_another"):
            answer = await client.post(f"/v1/approvals/{id}:{verb}", json={"digest": digest})
            assert_problem(answer, 404, "not_found")
        assert (await client.get(f"/v1/approvals/{approval}")).json()["approval"]["state"] == "pending"
    async with house.client("foreign") as client:
        answer = await client.post(f"/v1/approvals/{approval}:{verb}", json={"digest": digest})
        assert_problem(answer, 404, "not_found")
    async with house.client("operator") as client:
        answer = await client.post(f"/v1/approvals/{approval}:{verb}", json={"digest": digest})
        assert_problem(answer, 403, "forbidden")
    assert (await house.system.store.views.run("home", run)).status == "waiting-for-approval"
    assert house.shipped == []


@pytest.mark.parametrize("body", [None, {}, {"reason": "fine"}, {"digest": ""}])
async def test_an_approval_that_names_nothing_is_refused(house: House, body: dict[str, str] | None) -> None:
    _, approval = await house.held()
    async with house.client("approver") as client:
        answer = await client.post(f"/v1/approvals/{approval}:approve", json=body)
        problem = assert_problem(answer, 422, "digest_missing")
        assert f"bailiwick approvals show {approval}" in problem["remedy"]
        assert (await client.get(f"/v1/approvals/{approval}")).json()["approval"]["state"] == "pending"


async def test_of_64_who_decide_at_once_one_wins_and_one_event_says_so(house: House) -> None:
    run, approval = await house.held()
    async with house.client("approver") as client:
        seen = {"digest": (await client.get(f"/v1/approvals/{approval}")).json()["approval"]["digest"]}
        posts = (
            client.post(f"/v1/approvals/{approval}:{('approve', 'reject')[at % 2]}", json=seen)
            for at in range(RACERS)
        )
        answers = await asyncio.gather(*posts)
        won = [answer for answer in answers if answer.status_code == 200]
        assert len(won) == 1
        for lost in answers:
            if lost is not won[0]:
                facts = assert_problem(lost, 409, "already_decided")["facts"]
                assert facts["decided_by"] == "home-approver"
        await house.ended(run)
        events = (await client.get(f"/v1/runs/{run}/events")).json()["events"]
    decided = [
        event for event in events if event["kind"] == "action.moved" and event.get("cause") == approval
    ]
    assert len(decided) == 1
    assert len(house.shipped) == (1 if won[0].json()["state"] == "approved" else 0)


async def test_what_is_shown_is_made_of_the_bytes_that_are_hashed(house: House) -> None:
    _, approval = await house.held()
    async with house.client("viewer") as client:
        page = (await client.get(f"/v1/approvals/{approval}")).json()
    shown = {**json.loads(page["shown"]["action"]), "arguments": json.loads(page["shown"]["arguments"])}
    # RFC 8785 for what this action holds: sorted keys, no white space.
    hashed = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(hashed.encode()).hexdigest() == page["approval"]["digest"]
    assert shown == page["action"]
    assert shown["scope"] == {
        "tenant": "home",
        "app": "shop",
        "run": page["run"]["id"],
        "step": "ship",
    }
    assert all(" " <= char <= "~" or char == "\n" for char in page["shown"]["action"])
    assert unicodedata.is_normalized("NFC", page["shown"]["arguments"])


async def test_a_request_that_was_rewritten_is_neither_shown_nor_decided(house: House) -> None:
    run, approval = await house.held()
    house.edit("""UPDATE approvals SET groups = '["anybody"]', expires_at = expires_at + 1""")
    async with house.client("admin") as client:
        assert_problem(await client.get(f"/v1/approvals/{approval}"), 409, "approval_altered")
        made = await client.post("/v1/keys", json={"name": "eve", "role": "approver", "groups": ["anybody"]})
        bearer = {"Authorization": f"Bearer {made.json()['secret']}"}
        for verb in ("approve", "reject"):
            answer = await client.post(f"/v1/approvals/{approval}:{verb}", headers=bearer)
            problem = assert_problem(answer, 409, "approval_altered")
            assert run in problem["remedy"]
        assert (await client.post(f"/v1/runs/{run}:cancel")).status_code == 202
    assert await house.ended(run) == "canceled"
    assert house.shipped == []
