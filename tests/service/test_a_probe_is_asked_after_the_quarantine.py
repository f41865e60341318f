"""A probe says whether an effect was applied: through the gate, after the quarantine alone, as evidence."""

from typing import Any

import pytest

from bailiwick.app import Probe
from bailiwick.contract import InvalidContract
from bailiwick.policy import build_bundle, stacked
from bailiwick.ports import Dispatch
from bailiwick.run import CallState, LeaseLost, Run, Status, StepStatus, WaitKind
from bailiwick.wiring.compiler import run_policy_compiler
from cut_line_kit import CutLine, given_back
from platform_fixtures import Opener
from platform_kit import ALICE, ROOT, System
from shop_kit import POLICIES, Shop

SENDING = """
@id("shop.send")
@reason("it may be sent")
permit (principal, action == Action::"tool.call", resource)
when { context.declared && resource.name == "shop.send" };
"""
DECIDES = """
@id("shop.post-office")
@reason("the post office knows, once nothing is under way any more")
@decides_after("quarantine")
permit (principal, action == Action::"tool.call", resource)
when { context.declared && resource.name == "shop.sent" };
"""
NOT_ASKED = """
@id("shop.no-probe")
@reason("the post is not to be asked")
forbid (principal, action == Action::"tool.call", resource)
when { resource.name == "shop.sent" };
"""
QUARANTINE = 60 + 120


class Post:
    """A letter box that can be looked into: what its probe is asked, and what it says."""

    def __init__(self, shop: Shop) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.says: list[Any] = []

        @shop.app.tool("shop.send", effect="external-action", failure_modes=("timeout",), probe="shop.sent@1")
        async def send(text: str) -> dict[str, str]:
            raise ConnectionResetError

        @shop.app.tool("shop.sent")
        async def sent(key: str, arguments: dict[str, Any]) -> Probe:
            self.asked.append((key, arguments))
            said = self.says.pop(0)
            if isinstance(said, Exception):
                raise said
            return Probe(**said)


@pytest.fixture
def post(shop: Shop) -> Post:
    return Post(shop)


async def opened(opener: Opener, shop: Shop, *texts: str) -> System:
    shop.workflow({"id": "send", "uses": "shop.send", "input": {"text": "dear customer"}})
    policies = {**POLICIES, **{f"{n}.cedar": text for n, text in enumerate((SENDING, *texts))}}
    return await opener(shop, bundle=build_bundle(stacked(policies), run_policy_compiler))


async def lost(system: System) -> tuple[str, str]:
    """Send, and lose the answer; answer the run and the key."""
    system.clock.stop()
    run = await system.submit(input={})
    hand = await system.hand("sender")
    assert await hand.claim() is not None
    answer = await hand.port.act(hand.session, hand.proposal("send", "dear customer"))
    assert isinstance(answer, Dispatch)
    assert (await hand.settle(answer, "unknown", reason="cut")).state == "unknown"
    return run, answer.key


async def asked(system: System) -> None:
    """Let a real worker take the probe that is due, and say what it is told."""
    hand = await system.hand("prober")
    assignment = await hand.claim()
    assert assignment is not None
    assert assignment.kind == "probe"
    dispatch = await hand.act(
        "sent", capability=assignment.capability, arguments=assignment.input, key=f"probe {assignment.epoch}"
    )
    assert isinstance(dispatch, Dispatch), dispatch
    await hand.port.settle(hand.session, await hand.execute(dispatch))


async def unknown(system: System, run: str) -> Any:
    calls = (await system.refolded(run)).calls.values()
    return next(call for call in calls if call.capability == "shop.send@1.0.0")


async def test_nobody_asks_before_the_quarantine_is_over(shop: Shop, post: Post, open_system: Opener) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "applied", "reference": "letter 7", "output": {"said": "x"}}]
    run, key = await lost(system)
    step = (await system.refolded(run)).steps["send"]
    assert (step.status, step.wait is not None and step.wait.kind) == (StepStatus.BLOCKED, WaitKind.PROBE)
    prober = await system.hand("early")
    system.clock.advance(QUARANTINE - 1)
    assert await prober.claim() is None
    assert post.asked == []
    system.clock.advance(2)
    await asked(system)
    assert post.asked == [(key, {"text": "dear customer"})]
    call = await unknown(system, run)
    assert (call.state, call.answer, call.probed) == (CallState.UNKNOWN, "applied", 1)
    assert (await system.run(run)).status is Status.BLOCKED, "it is evidence; a person decides"


async def test_a_probe_that_hears_that_its_session_is_over_is_asked_again(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "applied"}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    line = system.port = CutLine(system.port, "act")
    system.work()
    await given_back(system)
    assert line.cut == 1
    system.clock.advance(61)
    await system.until(run, lambda state: any(call.answer == "applied" for call in state.calls.values()))


async def test_the_answer_is_shown_where_a_person_decides(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "applied", "reference": "letter 7", "output": {"said": "sent it"}}]
    run, key = await lost(system)
    (question,) = (await system.platform.reading.detail(ALICE, run)).questions
    assert question.probe is not None
    assert (question.probe.asked, question.probe.due_at) == (0, question.call.quarantine_until)
    system.clock.advance(QUARANTINE + 1)
    await asked(system)
    detail = await system.platform.reading.detail(ALICE, run)
    (question,) = detail.questions
    probe = question.probe
    assert probe is not None
    assert (probe.answer, probe.reference, probe.output) == ("applied", "letter 7", {"said": "sent it"})
    assert any("says: applied, reference letter 7" in fact for fact in question.evidence)
    assert """--result '{"said":"sent it"}'""" in detail.ways[0].command
    moved = [event["call"] for event in await system.events(run) if event["kind"] == "action.moved"]
    assert [call["answer"] for call in moved if call["key"] == key and "answer" in call] == ["applied"]
    await system.platform.control.resolve(
        ALICE, run, key, done=True, output=probe.output, reason="the probe says so"
    )
    hand = await system.hand("next")
    assert await hand.claim() is not None
    assert (await hand.act("send", "dear customer")).outcome == {"said": "sent it"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "says", [{"answer": "cannot-tell"}, ConnectionResetError("no answer")], ids=["cannot tell", "fails"]
)
async def test_a_probe_that_cannot_tell_is_asked_three_times_with_pauses(
    shop: Shop, post: Post, open_system: Opener, says: Any
) -> None:
    system = await opened(open_system, shop)
    post.says = [says] * 9
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    for _ in range(3):
        await asked(system)
        prober = await system.hand("impatient")
        assert await prober.claim() is None
        system.clock.advance(61)
    prober = await system.hand("late")
    assert await prober.claim() is None
    call = await unknown(system, run)
    assert (call.state, call.answer, call.probed, len(post.asked)) == (CallState.UNKNOWN, "cannot-tell", 3, 3)


@pytest.mark.parametrize("moment", ["waiting", "taken"])
async def test_a_crash_loses_at_most_one_probe(
    shop: Shop, post: Post, open_system: Opener, moment: str
) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "not-applied"}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    if moment == "taken":
        hand = await system.hand("prober")
        assert await hand.claim() is not None
    await system.crash()
    system.clock.advance(61)
    await asked(system)
    call = await unknown(system, run)
    assert (call.answer, call.probed) == ("not-applied", 2 if moment == "taken" else 1)


async def test_policy_may_forbid_the_probe_and_that_is_no_answer(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop, NOT_ASKED)
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    hand = await system.hand("prober")
    assignment = await hand.claim()
    assert assignment is not None
    refused = await hand.act(
        "sent", capability=assignment.capability, arguments=assignment.input, key=f"probe {assignment.epoch}"
    )
    assert refused.state == "refused"  # type: ignore[union-attr]
    call = await unknown(system, run)
    assert (call.state, call.answer, post.asked) == (CallState.UNKNOWN, "cannot-tell", [])


@pytest.mark.parametrize("output", [{"said": "sent it"}, None], ids=["with its answer", "without"])
async def test_where_policy_says_so_the_probe_decides_that_it_was_applied(
    shop: Shop, post: Post, open_system: Opener, output: Any
) -> None:
    system = await opened(open_system, shop, DECIDES)
    post.says = [{"answer": "applied", "reference": "letter 7", "output": output}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    await asked(system)
    call = await unknown(system, run)
    assert (call.state, call.unanswered) == (CallState.DONE, output is None)
    told = (await system.events(run))[-1]
    assert told["moves"][0]["reason"] == "decided by shop.post-office"
    hand = await system.hand("next")
    assert await hand.claim() is not None
    answer = await hand.act("send", "dear customer")
    assert answer.outcome == output  # type: ignore[union-attr]
    assert answer.unanswered == (output is None)  # type: ignore[union-attr]


async def test_where_policy_says_so_the_probe_decides_that_it_never_happened(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop, DECIDES)
    post.says = [{"answer": "not-applied"}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    await asked(system)
    call = await unknown(system, run)
    assert call.state is CallState.FAILED
    assert call.reason == "its probe shop.sent@1.0.0 says: not-applied"
    assert (await system.run(run)).status is not Status.BLOCKED


@pytest.mark.parametrize(
    "says",
    [{"answer": "cannot-tell"}, {"answer": "applied", "output": {"said": 7}}],
    ids=["cannot tell", "does not fit"],
)
async def test_what_a_probe_cannot_tell_or_tells_wrongly_decides_nothing(
    shop: Shop, post: Post, open_system: Opener, says: Any
) -> None:
    system = await opened(open_system, shop, DECIDES)
    post.says = [says]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    await asked(system)
    call = await unknown(system, run)
    assert (call.state, call.answer) == (CallState.UNKNOWN, says["answer"])


async def test_a_person_may_be_faster_than_the_probe(shop: Shop, post: Post, open_system: Opener) -> None:
    system = await opened(open_system, shop)
    run, key = await lost(system)
    await system.platform.control.resolve(ALICE, run, key, done=True, output={"said": "x"}, reason="seen")
    hand = await system.hand("next")
    assignment = await hand.claim()
    assert assignment is not None
    assert assignment.kind == "tool", "it goes on at once, not when the probe would have been due"


async def test_a_person_may_answer_while_the_probe_is_out(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop)
    run, key = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    prober = await system.hand("prober")
    assignment = await prober.claim()
    assert assignment is not None
    await system.platform.control.resolve(ALICE, run, key, done=True, output={"said": "x"}, reason="seen")
    with pytest.raises(LeaseLost):
        await prober.act("sent", capability=assignment.capability, arguments=assignment.input)
    assert (await unknown(system, run)).state is CallState.DONE


async def test_a_run_that_is_ending_is_asked_after_too(shop: Shop, post: Post, open_system: Opener) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "not-applied"}]
    run, key = await lost(system)
    await system.platform.control.cancel(ALICE, run)
    system.clock.advance(QUARANTINE + 1)
    await asked(system)
    assert (await unknown(system, run)).answer == "not-applied"
    await system.platform.control.resolve(ALICE, run, key, done=False, reason="the probe says so")
    assert (await system.run(run)).status is Status.CANCELED


async def test_a_halt_stops_a_probe_and_its_lift_lets_it_be_asked(
    shop: Shop, post: Post, open_system: Opener
) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "applied"}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    halt = await system.platform.halts.set(ROOT, "tool", "shop.sent", "stop")
    hand = await system.hand("prober")
    assert await hand.claim() is None
    await system.platform.halts.lift(ROOT, halt.id)
    system.clock.advance(61)
    await asked(system)
    assert (await unknown(system, run)).answer == "applied"


async def test_a_worker_asks_by_itself(shop: Shop, post: Post, open_system: Opener) -> None:
    system = await opened(open_system, shop)
    post.says = [{"answer": "not-applied"}]
    run, _ = await lost(system)
    system.clock.advance(QUARANTINE + 1)
    system.work()

    def answered(state: Run) -> bool:
        return any(call.answer for call in state.calls.values())

    assert (await system.until(run, answered)).steps["send"].status is StepStatus.BLOCKED


@pytest.mark.parametrize("effect", ["idempotent-write", "metered"])
async def test_a_probe_only_reads(shop: Shop, open_system: Opener, effect: str) -> None:
    @shop.app.tool("shop.looked", effect=effect)
    async def looked(key: str, arguments: dict[str, Any]) -> Probe:
        return Probe("cannot-tell")

    @shop.app.tool("shop.sends", effect="external-action", probe="shop.looked")
    async def sends(text: str) -> str:
        return text

    with pytest.raises(InvalidContract, match="read-only"):
        await opened(open_system, shop)


async def test_a_probe_takes_the_key_and_the_arguments(shop: Shop, open_system: Opener) -> None:
    @shop.app.tool("shop.sends", effect="external-action", probe="shop.read")
    async def sends(text: str) -> str:
        return text

    with pytest.raises(InvalidContract, match="takes `key`"):
        await opened(open_system, shop)
