"""What an approved action may be stretched into: named mutations of it, by the entry point that they come in at."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bailiwick.budget import Price, PriceTable
from bailiwick.policy import Bundle, stacked
from bailiwick.ports import ApprovalState, Assignment, Dispatch, Parked
from bailiwick.service import Platform, Stores
from bailiwick.wiring.keys import DeploymentKeys
from platform_kit import BOB, Hand, System, decide_seen
from shop_kit import POLICIES, Shop

SENDING = """
@id("shop.send-approved")
@reason("a transfer needs a payer")
@require_approval("payers")
@approval_ttl("PT1H")
forbid (principal, action == Action::"tool.call", resource)
when { ["shop.send", "shop.give"].contains(resource.name) }
unless { context.approvals.contains("payers") };
"""
ORDER = {"to": "anna", "amount": 1, "memo": "caf\u00e9"}
ARGUMENTS = {"order": ORDER}


class Mutation(NamedTuple):
    """A mutation by its name."""

    id: str
    change: Any


def ordered(id: str, **fields: Any) -> Mutation:
    return Mutation(id, {"arguments": {"order": {**ORDER, **fields}}})


# Proposed by agent code that was entered again after its action was approved and executed.
PROPOSED = [
    ordered("another-number", amount=2),
    ordered("a-fraction-more", amount=1.0000001),
    ordered("a-negative-number", amount=-1),
    ordered("the-number-as-text", amount="1"),
    ordered("the-number-as-true", amount=True),
    ordered("the-number-as-null", amount=None),
    ordered("the-number-in-a-list", amount=[1]),
    ordered("the-number-beyond-a-double", amount=2**53 - 1),
    ordered("a-cyrillic-letter", to="\u0430nna"),
    ordered("a-greek-letter", to="ann\u03b1"),
    ordered("a-full-width-letter", to="\uff41nna"),
    ordered("a-zero-width-space", to="an\u200bna"),
    ordered("a-soft-hyphen", to="an\u00adna"),
    ordered("a-bidi-override", to="\u202eanna"),
    ordered("a-byte-order-mark", to="\ufeffanna"),
    ordered("a-no-break-space", to="anna\u00a0"),
    ordered("a-trailing-space", to="anna "),
    ordered("a-line-end", to="anna\n"),
    ordered("another-case", to="Anna"),
    ordered("a-decomposed-accent", memo="cafe\u0301"),
    ordered("an-emptied-field", memo=""),
    ordered("an-extra-field", urgent=True),
    ordered("an-extra-null", urgent=None),
    Mutation("a-missing-field", {"arguments": {"order": {"to": "anna", "amount": 1}}}),
    Mutation("a-renamed-field", {"arguments": {"order": {"To": "anna", "amount": 1, "memo": ORDER["memo"]}}}),
    Mutation("a-deeper-order", {"arguments": {"order": {"order": ORDER}}}),
    Mutation("an-empty-order", {"arguments": {"order": {}}}),
    Mutation("an-order-as-text", {"arguments": {"order": str(ORDER)}}),
    Mutation("no-order", {"arguments": {}}),
    Mutation("an-argument-more", {"arguments": {**ARGUMENTS, "dry": False}}),
    Mutation("a-forged-key-argument", {"arguments": {**ARGUMENTS, "key": "eff_mine"}}),
    Mutation("another-tool", {"capability": "shop.give"}),
    Mutation("another-version", {"capability": "shop.send@2"}),
    Mutation("an-undeclared-tool", {"capability": "shop.undeclared", "arguments": {"text": "x"}}),
    Mutation("a-second-occurrence", {"n": 2}),
    Mutation("a-key-of-its-own", {"key": "mine"}),
    Mutation("an-epoch-before", {"epoch": 1}),
    Mutation("an-epoch-ahead", {"epoch": 99}),
    Mutation("another-step", {"step": "rest"}),
    Mutation("a-step-that-is-none", {"step": "work[2]"}),
    Mutation("another-run", {"run": "run_elsewhere"}),
    Mutation("another-tenant", {"tenant": "evil"}),
]

# The same action said otherwise: the same bytes, so the same answer.
SAME = [
    Mutation(
        "keys-in-another-order",
        {"arguments": {"order": {"memo": ORDER["memo"], "amount": 1, "to": "anna"}}},
    ),
    ordered("the-number-with-a-point", amount=1.0),
    Mutation("the-version-named", {"capability": "shop.send@1.0.0"}),
    Mutation("the-major-version-named", {"capability": "shop.send@1"}),
]

_SOON = 60_000_000


def _rule(field: str, value: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda holds: [{**holds[0], field: value}, *holds[1:]]


# Rows changed behind the back of the platform: by SQL, or by what their hold rules become.
WRITTEN = [
    Mutation("digest", f"digest = '{'0' * 64}'"),
    Mutation("digest-in-upper-case", "digest = upper(digest)"),
    Mutation("digest-cut", "digest = substr(digest, 1, 63)"),
    Mutation("run", "run = 'run_elsewhere'"),
    Mutation("step", "step = 'rest'"),
    Mutation("call", "call = 'eff_another'"),
    Mutation("capability", "capability = 'shop.read@1.0.0'"),
    Mutation("event", "seq = seq - 1"),
    Mutation("tenant", "tenant = 'evil'"),
    Mutation("id", "id = 'apr_another'"),
    Mutation("groups", """groups = '["change-approvers"]'"""),
    Mutation("no-groups", "groups = '[]'"),
    Mutation("rule-id", _rule("id", "shop.other")),
    Mutation("rule-group", _rule("group", "change-approvers")),
    Mutation("rule-text", _rule("text_digest", "0" * 64)),
    Mutation("no-rules", "holds = '[]'"),
    Mutation("a-rule-twice", lambda holds: [*holds, holds[0]]),
    Mutation("requester", "requested_by = 'mallory'"),
    Mutation("longer", f"expires_at = expires_at + {_SOON}"),
    Mutation("shorter", f"expires_at = expires_at - {_SOON}"),
]

# A dispatch changed on its way to the host that executes it.
SENT = [
    Mutation("other-bytes", {"body": ("anna", "anne")}),
    Mutation("bytes-with-a-duplicate-key", {"body": ('"amount":1', '"amount":1,"amount":2')}),
    Mutation("bytes-in-another-order", {"body": ('"amount":1,"memo"', '"memo"')}),
    Mutation("bytes-with-a-space", {"body": ('"amount":1', '"amount": 1')}),
    Mutation("another-digest", {"digest": "0" * 64}),
    Mutation("a-digest-in-upper-case", {"digest": str.upper}),
    Mutation("another-contract", {"contract": "f" * 64}),
    Mutation("no-contract", {"contract": ""}),
    Mutation("another-tenant", {"tenant": "evil"}),
    Mutation("another-run", {"run": "run_elsewhere"}),
    Mutation("another-step", {"step": "rest"}),
    Mutation("another-capability", {"capability": "shop.give@1.0.0"}),
    Mutation("a-capability-that-is-none", {"capability": "shop.send@9.0.0"}),
]


def sending_bundle(sending: str = SENDING) -> Bundle:
    """The shop's policies with these on top; trusted text, so no child compiles it first."""
    return Bundle(stacked({**POLICIES, "stretch.cedar": sending}))


def sending_shop() -> Shop:
    """The shop, with a tool whose argument has a structure, and an agent that may use it."""
    shop = Shop()

    @shop.app.tool("shop.send", effect="idempotent-write")
    async def send(order: dict[str, Any], key: str) -> dict[str, str]:
        await shop.outside.arrive("send", repr(order), key)
        return {"said": "sent"}

    @shop.app.tool("shop.give", effect="idempotent-write")
    async def give(order: dict[str, Any], key: str) -> dict[str, str]:
        await shop.outside.arrive("give", repr(order), key)
        return {"said": "given"}

    shop.app.agent("payer", output={"type": "object"}, run=shop.scripts.get, tools=["shop.send", "shop.give"])
    shop.workflow({"id": "work", "uses": "payer", "input": {}}, {"id": "rest", "uses": "payer", "input": {}})
    return shop


async def asking(system: System, **intent: Any) -> tuple[Hand, str]:
    """Let a worker ask for the action of all these tests; answer the hand and the request's id."""
    run = await system.submit(**intent)
    hand = await system.hand(f"hand of {run}")
    await hand.claim()
    assert isinstance(await propose(hand), Parked)
    return hand, (await system.approval(run)).id


async def propose(hand: Hand, **changes: Any) -> Any:
    return await hand.act("send", **({"arguments": ARGUMENTS} | changes))


async def approve(system: System, id: str) -> None:
    await decide_seen(system.platform, BOB, id, approve=True)


async def sent(hand: Hand) -> Dispatch:
    """Claim the granted action."""
    assignment = await hand.claim()
    assert isinstance(assignment, Assignment)
    assert assignment.dispatch is not None
    return assignment.dispatch


async def done(hand: Hand) -> None:
    """Execute the granted action once, and enter the agent again."""
    await hand.port.settle(hand.session, await hand.execute(await sent(hand)))
    assert await hand.claim() is not None


async def state(system: System, id: str) -> ApprovalState:
    found = await system.store.views.approval("acme", id)
    assert found is not None
    return found.state


async def replica(system: System) -> Platform:
    """Start another platform over the same store, as a second process of a cluster would be."""
    store, keys = system.store, DeploymentKeys(system.folder / "keys")
    other = Platform(
        stores=Stores(store.ledger, store.queue, store.views, store.feed, store.audit, store.blobs),
        world=system.world,
        catalogue=system.platform.catalogue,
        bundle=system.bundle,
        tools=system.tools,
        prices=PriceTable((), Price(10_000_000, 10_000_000, 10_000_000)),
        signer=keys.signer("test"),
        pepper=keys.pepper,
    )
    await other.start()
    return other
