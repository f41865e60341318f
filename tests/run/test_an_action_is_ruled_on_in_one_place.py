"""What becomes of an action is ruled on once: the same facts lead to the same ruling, and nothing that is stopped goes."""

import msgspec
import pytest
from msgspec.structs import replace
from run_kit import FREE, MAIL, METERED, PLANS, WRITE, Stage

from bailiwick.contract import EffectClass, ErrorCategory
from bailiwick.policy import VerdictKind
from bailiwick.run import (
    Bar,
    CallState,
    Cancel,
    Grant,
    LeaseLost,
    Propose,
    Release,
    Ruled,
    Standing,
    StandingKind,
    StepStatus,
    Told,
    decide,
    decided_again,
    rule,
    state_table,
)

ALLOW, HOLD, DENY = VerdictKind.ALLOW, VerdictKind.HOLD, VerdictKind.DENY
FOUND = {
    "allowed": {},
    "held": {"verdict": HOLD, "reasons": ("people decide",), "request": "apr_9", "terms": "t" * 64},
    "held as asked": {"verdict": HOLD, "reasons": ("people decide",), "covered": True},
    "denied": {"verdict": DENY, "reasons": ("never",)},
    "barred": {"bar": Bar("halted: hlt_1 (run run_1) by ann: stop", Standing(StandingKind.HALT, "hlt_1"))},
    "void": {"fault": "it covers another action"},
}
ENTRIES = ("none", "held", "granted", "under way", "refused before")
GOES = {Ruled.FREE, Ruled.INTENDED, Ruled.GRANTED}

RULED = {
    # entry: what is ruled when allowed, held, held as asked, denied, barred, and with a grant that does not cover it
    ("none", FREE): "free held - refused parked refused",
    ("none", METERED): "intended held - refused parked refused",
    ("none", MAIL): "intended held - refused parked refused",
    ("held", WRITE): "granted held held refused waits waits",
    ("granted", WRITE): "intended held intended refused parked refused",
    ("granted", MAIL): "intended held intended refused parked refused",
    ("under way", WRITE): "intended unknown unknown unknown parked unknown",
    ("refused before", MAIL): "recorded recorded recorded recorded recorded recorded",
}
CASES = [
    (entry, effect, found, Ruled(word))
    for (entry, effect), words in RULED.items()
    for found, word in zip(FOUND, words.split(), strict=True)
    if word != "-"  # nobody was asked
]


def staged(entry: str, effect: EffectClass) -> tuple[Stage, str]:
    """Bring a step to where an action of it is to be ruled on; answer the action's key."""
    stage = Stage(PLANS["retry"])
    epoch = stage.claim("a")
    key = stage.proposal("a", effect, CallState.DONE).key
    if entry in ("held", "granted"):
        stage.journal("a", effect, CallState.HELD)
    if entry == "granted":
        stage.do(Grant(key, "bob"))
        stage.claim("a")
    if entry == "under way":
        stage.dispatch("a", effect)
        stage.do(Release("a", epoch, "its worker is gone"))
        stage.claim("a")
    if entry == "refused before":
        stage.journal("a", effect, CallState.REFUSED, category=ErrorCategory.DENIED)
    return stage, key


def proposed(stage: Stage, effect: EffectClass, found: str) -> Propose:
    known = stage.run.calls.get(stage.proposal("a", effect, CallState.DONE).key)
    call = (
        replace(known, epoch=stage.step("a").epoch) if known else stage.proposal("a", effect, CallState.DONE)
    )
    return Propose(call, **FOUND[found])


@pytest.mark.parametrize(("entry", "effect", "found", "ruled"), CASES)
def test_the_state_and_what_was_found_out_rule(
    entry: str, effect: EffectClass, found: str, ruled: Ruled
) -> None:
    stage, key = staged(entry, effect)
    told = proposed(stage, effect, found)
    ruling = rule(stage.run, stage.plan, told, stage.sight())
    assert ruling.kind is ruled
    assert ruling.call.key == key
    if found in ("barred", "void", "denied"):
        assert ruling.kind not in GOES


@pytest.mark.parametrize(("entry", "effect", "found", "ruled"), CASES)
def test_what_is_written_is_what_was_ruled_and_says_enough_to_rule_again(
    entry: str, effect: EffectClass, found: str, ruled: Ruled
) -> None:
    stage, key = staged(entry, effect)
    told = proposed(stage, effect, found)
    before = stage.run
    events, after = decide(before, stage.plan, told, stage.sight())
    if ruled in (Ruled.RECORDED, Ruled.FREE, Ruled.WAITS):
        assert events == ()
        assert after is before
        return
    state, step = after.calls.get(key), after.steps["a"]
    if ruled is Ruled.PARKED:
        assert step.status is StepStatus.BLOCKED
        bar = FOUND[found]["bar"]
        assert isinstance(bar, Bar)
        assert (step.reason, step.stands) == (bar.reason, bar.standing)
    else:
        assert state is not None
        assert state.state == ruled.value
    facts = msgspec.to_builtins(told)
    said = {name: facts[name] for name in facts if name not in ("call", "request", "terms")}
    said |= {"call": facts["call"]} if ruled is Ruled.PARKED else {}
    again = decided_again(before, stage.plan, events, stage.sight(), Told("propose", said))
    assert again.agrees
    assert isinstance(again.command, Propose)


@pytest.mark.parametrize("found", FOUND)
def test_a_run_that_can_only_end_begins_nothing(found: str) -> None:
    stage, _ = staged("none", MAIL)
    stage.do(Cancel("ann"))
    told = proposed(stage, MAIL, found)
    assert rule(stage.run, stage.plan, told, stage.sight()).kind is Ruled.ENDING
    assert decide(stage.run, stage.plan, told, stage.sight())[0] == ()


@pytest.mark.parametrize("found", FOUND)
@pytest.mark.parametrize("entry", ["none", "granted", "under way"])
def test_nothing_is_ruled_for_who_does_not_hold_the_step(entry: str, found: str) -> None:
    stage, _ = staged(entry, WRITE)
    told = proposed(stage, WRITE, found)
    stale = replace(told, call=replace(told.call, epoch=told.call.epoch + 1))
    with pytest.raises(LeaseLost):
        rule(stage.run, stage.plan, stale, stage.sight())


def test_a_ruling_that_its_facts_do_not_lead_to_is_found_out() -> None:
    stage, _ = staged("none", MAIL)
    events, _ = decide(stage.run, stage.plan, proposed(stage, MAIL, "allowed"), stage.sight())
    denied = Told("propose", {"verdict": "deny"})
    assert not decided_again(stage.run, stage.plan, events, stage.sight(), denied).agrees
    assert not decided_again(
        stage.run, stage.plan, events, stage.sight(), Told("propose", {"reads": "x"})
    ).agrees
    assert not decided_again(stage.run, stage.plan, events, stage.sight(), Told("settle")).agrees
    assert decided_again(stage.run, stage.plan, events, stage.sight(), Told("journal")).agrees
    assert decided_again(stage.run, stage.plan, events, stage.sight()).agrees


def test_the_documents_show_the_rulings() -> None:
    table = state_table().partition("### A proposed action")[2]
    rows = {
        row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ")[1:] for row in table.splitlines()[4:]
    }
    assert set(rows["held"][4:]) == {"waits"}
    for entry, cells in rows.items():
        if entry:
            assert not {"free", "intended", "granted"} & {
                word for cell in cells[3:] for word in cell.split(", ")
            }
