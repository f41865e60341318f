"""Prompt, tools, schemas, model and limits are a run's own from its beginning: an edited app changes nothing of it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from bailiwick.audit import commitment, leaf_hash
from bailiwick.base import canonical, parse_canonical
from bailiwick.budget import Price
from bailiwick.models import OpenAIHost, ProviderConfig
from bailiwick.plan import Finding, Rule, Subject, SubjectKind
from bailiwick.policy import Bundle, version_of
from bailiwick.ports import Message
from bailiwick.run import CallState, Run, Status
from bailiwick.service import Transcript, replay
from bailiwick.service.proof.transcript import Line
from bailiwick.testing import Recording, RunningModelServer
from bailiwick.testing.recording import ReplyTemplate, ToolCallTemplate, When
from bailiwick.testing.recording import Rule as Answer
from platform_kit import ALICE, BOB, System
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long

SIGN = ToolCallTemplate("shop.sign", {"text": "the order"})
RECORDINGS = tuple(
    Recording(
        name,
        (
            Answer("done", ReplyTemplate(json={"summary": name}), When(last_tool="shop.sign")),
            Answer("sign", ReplyTemplate(tool_calls=(SIGN,))),
        ),
    )
    for name in ("first", "second")
)
BRIEF = {"objective": "Greet", "steps": ["Say hello"], "constraints": ["Short"]}
PLANS = Recording("plans", (Answer("brief", ReplyTemplate(json=BRIEF)),))


@pytest.fixture(scope="session")
def server() -> Iterator[RunningModelServer]:
    with RunningModelServer((*RECORDINGS, PLANS)) as running:
        yield running


def host(server: RunningModelServer, *names: str) -> OpenAIHost:
    """A host of models that knows only what the app of today names."""
    price = Price(1_000_000, 2_000_000, 1_000_000)
    return OpenAIHost([ProviderConfig("scripted", server.base_url, names)], lambda _: "", lambda _: price)


@pytest.fixture
async def models(server: RunningModelServer):
    made = host(server, "second")
    yield made
    await made.close()


def edition(number: int = 1, **fields: Any) -> Shop:
    """An app whose agent reads otherwise in each edition."""
    shop = Shop()
    given = {
        1: {"prompt": "You sign.", "output": {"summary": str}, "model": "scripted:first"},
        2: {
            "prompt": "You sign. And you obey whoever edited this.",
            "output": {"summary": str, "and_more": str},
            "model": "scripted:second",
            "tools": ["shop.sign", "shop.read", "shop.dear"],
            "max_turns": 3,
        },
    }
    shop.app.agent("signer", **({"tools": ["shop.sign"], **given[number], **fields}))
    shop.workflow({"id": "work", "uses": "signer", "input": {}})
    return shop


async def waiting(open_system: Any, models: OpenAIHost) -> tuple[System, str]:
    """A run that waits in the middle of its agent's work for a person."""
    system: System = await open_system(edition(), models=models)
    system.work()
    run = await system.submit(budget_usd="0.1")
    await system.status(run, Status.WAITING_FOR_APPROVAL)
    return system, run


async def signed(system: System, run: str) -> None:
    asked = await system.approval(run)
    await system.platform.approving.decide(BOB, asked.id, approve=True, digest=asked.digest)


async def reopened(system: System, shop: Shop, run: str) -> None:
    system.shops = (shop,)
    await system.crash()
    system.work()
    await signed(system, run)


async def asked(system: System, run: str) -> list[dict[str, Any]]:
    """All model calls, as the bytes that were hashed say."""
    found = [(await system.platform.runs.payload("acme", run, at)) for at in range(1, 40)]
    actions = [each["action"]["arguments"] for each in found if each and "action" in each]
    return [each for each in actions if "model" in each]


EDITED = {
    "edited": edition(2),
    "now-code": Shop(),
    "only-the-prompt": edition(1, prompt="You sign. And you obey whoever edited this."),
    "only-the-model": edition(1, model="scripted:second"),
    "only-the-tools": edition(1, tools=["shop.sign", "shop.dear"]),
    "only-the-schema": edition(1, output={"other": int}),
    "only-the-limits": edition(1, max_turns=1),
}


@pytest.mark.parametrize("change", EDITED)
async def test_an_edited_app_changes_nothing_of_a_run_that_has_begun(
    open_system: Any, models: OpenAIHost, change: str
) -> None:
    system, run = await waiting(open_system, models)
    after = EDITED[change]
    if change == "now-code":

        async def signer(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
            raise AssertionError("the run goes on with its prompt, not with code")

        after.app.agent("signer", output={"summary": str}, run=signer)
    await reopened(system, after, run)
    ended = await system.ended(run)
    assert ended.status is Status.COMPLETED, ended.reason
    assert await system.platform.reading.output(ALICE, run, "work") == {"summary": "first"}
    said = await asked(system, run)
    assert len(said) == 2
    assert {each["model"] for each in said} == {"scripted:first"}
    assert [each["text"] for call in said for each in call["messages"] if each["role"] == "system"] == [
        "You sign."
    ]
    assert {tuple(each["parameters"]["tools"]) for each in said} == {("shop.sign",)}
    schemas = [each["parameters"]["output_schema"]["properties"] for each in said]
    assert [sorted(each) for each in schemas] == [["summary"], ["summary"]]
    assert system.outside.count("sign") == 1


async def test_an_agent_that_was_taken_out_serves_the_runs_that_have_pinned_it(
    open_system: Any, models: OpenAIHost
) -> None:
    system, run = await waiting(open_system, models)
    system.shops = (Shop(),)
    await system.crash()
    system.work()
    await signed(system, run)
    await taken_up(system)
    ended = await system.ended(run)
    assert ended.status is Status.COMPLETED, ended.reason
    assert {each["model"] for each in await asked(system, run)} == {"scripted:first"}


async def test_a_run_whose_app_is_gone_with_its_tools_is_blocked_and_says_what_helps(
    open_system: Any, models: OpenAIHost
) -> None:
    system, run = await waiting(open_system, models)
    system.shops = (Shop("another"),)
    await system.crash()
    system.work()
    await signed(system, run)
    reason = (await system.status(run, Status.BLOCKED)).steps["work"].reason
    assert "shop.sign@1.0.0 is gone" in reason
    assert reason.endswith(f"then: bailiwick runs resume {run}")
    system.shops = (edition(),)
    await system.crash()
    system.work()
    await system.platform.control.resume(ALICE, run)
    assert (await system.ended(run)).status is Status.COMPLETED


@pytest.mark.parametrize("named", ["by-its-run", "by-its-code"])
async def test_a_model_that_its_provider_retired_blocks_the_run_until_it_is_there_again(
    open_system: Any, server: RunningModelServer, named: str
) -> None:
    shop = edition()
    if named == "by-its-code":
        shop = Shop()

        async def signer(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
            asked = [Message("user", "Sign.")]
            await asyncio.gather(*(ctx.model("scripted:first", asked) for _ in range(2)))
            return {"summary": "done"}

        shop.app.agent("signer", output={"summary": str}, run=signer)
        shop.workflow({"id": "work", "uses": "signer", "input": {}})
    with RunningModelServer((RECORDINGS[1],)) as without:
        retired = host(without, "first")
        system: System = await open_system(shop, models=retired)
        system.work()
        run = await system.submit(budget_usd="0.1")
        await system.status(run, Status.BLOCKED)
        blocked = await system.until(run, lambda now: now.allotment.reserved == 0)
        await retired.close()
    step = blocked.steps["work"]
    assert step.reason.startswith("model:scripted:first@1.0.0 is gone: the provider answered 404")
    assert step.reason.endswith(f"configure it, then: bailiwick runs resume {run}")
    assert (blocked.allotment.spent, step.attempt) == (0, 1)
    assert {call.state for call in blocked.calls.values()} == {CallState.LOST}
    served = host(server, "first")
    await system.crash()
    system.models = served
    system.work()
    await system.platform.control.resume(ALICE, run)
    if named == "by-its-run":
        await system.status(run, Status.WAITING_FOR_APPROVAL)
        await signed(system, run)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert all(replayed.differences == () for replayed in await system.replays())
    await served.close()


async def taken_up(system: System) -> None:
    """Do the duty until there is something that nobody offers to serve."""
    while not await system.platform.recovering.take_up_stranded():
        await asyncio.sleep(0)


async def test_a_step_whose_code_was_taken_out_is_blocked_until_it_is_there_again(open_system: Any) -> None:
    def coded() -> Shop:
        shop = Shop()

        async def clerk(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
            return {"summary": "done"}

        shop.app.agent("typist", output={"summary": str}, run=clerk)
        shop.workflow({"id": "work", "uses": "typist", "input": {}})
        return shop

    system: System = await open_system(coded())
    run = await system.submit()
    system.shops = (Shop(),)
    await system.crash()
    system.work()
    await taken_up(system)
    reason = (await system.status(run, Status.BLOCKED)).steps["work"].reason
    assert "typist@1.0.0" in reason
    assert reason.endswith(f"then: bailiwick runs resume {run}")
    system.shops = (coded(),)
    await system.crash()
    system.work()
    await system.platform.control.resume(ALICE, run)
    assert (await system.ended(run)).status is Status.COMPLETED


async def test_a_run_that_begins_after_the_edit_is_of_the_new_edition(
    open_system: Any, models: OpenAIHost
) -> None:
    system, run = await waiting(open_system, models)
    await reopened(system, edition(2), run)
    await system.ended(run)
    fresh = await system.submit(budget_usd="0.1")
    await system.status(fresh, Status.WAITING_FOR_APPROVAL)
    (first,) = await asked(system, fresh)
    assert first["model"] == "scripted:second"
    assert first["messages"][0]["text"].endswith("whoever edited this.")


def forged(transcript: Transcript, change: Any) -> Transcript:
    """The transcript of a platform that served otherwise: hashes, commitments and chain are whole."""
    lines: list[Line] = []
    prev = ""
    for line in transcript.events:
        header = parse_canonical(line.header.encode())
        payload = None if line.payload is None else parse_canonical(line.payload.encode())
        change(header, payload)
        body = None if payload is None else canonical(payload)
        if body is not None:
            header["payload"] = commitment(bytes.fromhex(line.salt), body)
        sealed = canonical({**header, "prev": prev})
        prev = leaf_hash(sealed).hex()
        lines.append(Line(sealed.decode(), line.salt, None if body is None else body.decode()))
    return replace(transcript, events=tuple(lines))


def ask(payload: Any) -> Any:
    """The arguments of a model call, if the event holds them."""
    given = (payload or {}).get("action", {}).get("arguments", {})
    return given if "messages" in given else None


def other_model(header: Any, payload: Any) -> None:
    if header.get("call", {}).get("model"):
        header["call"]["model"] = "scripted:second"


def other_prompt(header: Any, payload: Any) -> None:
    for message in (ask(payload) or {}).get("messages", ()):
        if message["role"] == "system":
            message["text"] += " And you obey whoever edited this."


def other_tools(header: Any, payload: Any) -> None:
    if ask(payload):
        ask(payload)["parameters"]["tools"].append("shop.dear")


def other_limit(header: Any, payload: Any) -> None:
    if ask(payload):
        ask(payload)["parameters"]["max_output_tokens"] += 1


def other_schema(header: Any, payload: Any) -> None:
    if ask(payload):
        ask(payload)["parameters"]["output_schema"] = {"type": "object"}


def other_contract(header: Any, payload: Any) -> None:
    if header.get("call", {}).get("capability", "").startswith("shop.sign"):
        header["call"]["contract"] = "0" * 64


def other_server(header: Any, payload: Any) -> None:
    for move in header.get("moves", ()):
        if move["to"] == "running" and move["served"].startswith("signer"):
            move["served"] = "signer@1.1.0"


CONVICTED = {
    other_model: "the model scripted:second was asked for signer@1.0.0, pinned is scripted:first",
    other_prompt: "was not told the prompt that is pinned",
    other_tools: "was given the tools",
    other_limit: "was given 4097 tokens",
    other_schema: "was held to another schema",
    other_contract: "was served by the contract 0000000000000000",
    other_server: "was served by signer@1.1.0, pinned is signer@1.0.0",
}


@pytest.mark.parametrize("change", CONVICTED, ids=lambda change: change.__name__)
async def test_a_replay_convicts_what_was_served_otherwise(
    open_system: Any, models: OpenAIHost, change: Any
) -> None:
    system, run = await waiting(open_system, models)
    await reopened(system, edition(2), run)
    await system.ended(run)
    (transcript,) = await system.transcripts()
    made = {system.bundle.version: system.bundle}

    def bundle(files: Any) -> Bundle:
        return made[version_of(files)]

    assert replay(transcript, bundle).differences == ()
    found = replay(forged(transcript, change), bundle).differences
    said = [each.detail for each in found if each.what == "served"]
    assert any(CONVICTED[change] in each for each in said), found


async def test_a_worker_that_asks_another_model_is_refused_at_the_gate(open_system: Any) -> None:
    system: System = await open_system(edition())
    run = await system.submit()
    hand = await system.hand()
    assert (await hand.claim()).mandate.model == "scripted:first"
    arguments = {
        "model": "scripted:second",
        "parameters": {"max_output_tokens": 5},
        "previous": "",
        "messages": [{"role": "system", "text": "You sign."}],
    }
    answer = await hand.act("model", capability="model:scripted:second", arguments=arguments)
    assert (answer.state, answer.category) == ("refused", "invalid-output")
    assert "this run goes on with the model scripted:first" in answer.reason
    assert (await system.run(run)).allotment.spent == 0


@pytest.mark.parametrize("again", [True, False], ids=["as-it-was", "edited"])
async def test_a_run_whose_text_is_gone_is_blocked_until_it_is_there_again(
    open_system: Any, models: OpenAIHost, again: bool
) -> None:
    system, run = await waiting(open_system, models)
    await erased(system, run)
    system.shops = (edition(2),)
    await system.crash()
    system.work()
    await signed(system, run)
    blocked = await system.status(run, Status.BLOCKED)
    reason = blocked.steps["work"].reason
    assert "signer@1.0.0" in reason
    assert reason.endswith(f"then: bailiwick runs resume {run}")
    system.shops = (edition(1 if again else 2),)
    await system.crash()
    system.work()
    await system.platform.control.resume(ALICE, run)
    if again:
        assert (await system.ended(run)).status is Status.COMPLETED
    else:
        assert (await system.status(run, Status.BLOCKED)).steps["work"].reason == reason


async def erased(system: System, run: str) -> None:
    """Lose the kept text, as somebody does who tidies the artifacts; a run of before texts were kept looks alike."""
    state: Run = await system.run(run)
    await system.store.blobs.remove("acme", state.pins["agents"]["signer@1.0.0"]["prompt"])


def rule(version: int, most: int) -> Rule:
    def short(subject: Subject, constraint: str) -> Iterator[Finding]:
        assert subject.brief is not None
        if len(subject.brief.steps) > most:
            yield Finding("too_long", "/steps", f"{constraint}: at most {most}")

    return Rule(name="short", version=version, phrases=("Short",), subjects=(SubjectKind.BRIEF,), check=short)


def planned(*rules: Rule) -> Shop:
    shop = Shop()
    for each in rules:
        shop.app.rule(each)

    async def clerk(ctx: Any, given: dict[str, Any]) -> dict[str, Any]:
        return await ctx.tool("shop.sign", {"text": "x"})

    shop.scripts["clerk"] = clerk
    brief = {"objective": str, "steps": [str], "constraints": [str]}
    shop.app.agent("planner", prompt="You plan.", output=brief, model="scripted:plans")
    shop.workflow(planner="planner")
    return shop


async def test_what_a_constraint_meant_when_the_run_began_it_means_to_the_end(
    open_system: Any, server: RunningModelServer
) -> None:
    """The brief names a constraint of its own; the newer rule would refuse it, the pinned one does not."""
    models = host(server, "plans")
    system: System = await open_system(planned(rule(1, 1)), models=models)
    run = await system.submit(budget_usd="0.1")
    system.shops = (planned(rule(1, 1), rule(2, 0)),)
    await system.crash()
    system.work()
    held = await system.status(run, Status.WAITING_FOR_APPROVAL)
    assert held.steps["$plan"].status == "succeeded"
    plan = next(
        move
        for event in await system.events(run)
        for move in event.get("moves", ())
        if move["step"] == "$plan" and move["to"] == "succeeded"
    )
    assert plan["rules"] == ["short@1"]
    await models.close()


async def test_a_run_whose_rule_is_gone_is_blocked_and_says_what_helps(
    open_system: Any, server: RunningModelServer
) -> None:
    models = host(server, "plans")
    system: System = await open_system(planned(rule(1, 1)), models=models)
    run = await system.submit(budget_usd="0.1")
    system.shops = (planned(rule(2, 1)),)
    await system.crash()
    system.work()
    blocked = await system.status(run, Status.BLOCKED)
    assert "short@1" in blocked.steps["$plan"].reason
    system.shops = (planned(rule(1, 1), rule(2, 0)),)
    await system.crash()
    system.work()
    await system.platform.control.resume(ALICE, run)
    assert (await system.status(run, Status.WAITING_FOR_APPROVAL)).steps["$plan"].status == "succeeded"
    await models.close()
