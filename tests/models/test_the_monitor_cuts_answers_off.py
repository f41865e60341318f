"""A drifting, leaking or overspending answer is interrupted while it streams, not judged when it is paid."""

import pytest

from bailiwick.budget import Price, cost_micro_usd, estimate_micro_usd, input_token_bound
from bailiwick.contract import ErrorCategory
from bailiwick.models import ForbiddenContent, Interrupted, Interruption, MonitorRules, ResponseMonitor
from bailiwick.ports import CallFailed, Message, ModelRequest, Stop

DOLLAR = Price(input=1_000_000, output=1_000_000, cached_input=1_000_000)
AWS = ForbiddenContent({"access key": r"AKIA[A-Z0-9]{12,}"})
SCHEMA = {"type": "object"}


def monitor(forbidden=AWS, *, limit=None, output=100, opening=""):
    request = ModelRequest(
        "m:x", (Message("user", "hi"),), spend_limit_micro_usd=limit, max_output_tokens=output
    )
    return ResponseMonitor(request, DOLLAR, 10, MonitorRules(forbidden), opening)


def feed(watch, channel, pieces):
    for piece in pieces:
        watch.saw(channel, piece)


def cut_up(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_forbidden_content_is_seen_however_it_is_cut_into_pieces(size):
    text = "x" * 300 + " AKIAABCDEFGHIJKLMNOP"
    watch = monitor()
    with pytest.raises(Interrupted) as cut:
        feed(watch, "text", cut_up(text, size))
    assert cut.value.interruption is Interruption.FORBIDDEN
    assert "AKIA" not in str(cut.value)


def test_pieces_of_different_channels_are_not_joined():
    watch = monitor()
    watch.saw("text", "AKIAABCDEF")
    watch.saw("tool 0", "GHIJKLMNOP")
    assert watch.finish() is None


def test_a_known_value_longer_than_the_window_is_seen():
    secret = "s3cret-" * 80
    watch = monitor(ForbiddenContent(known_values=[secret, ""]))
    with pytest.raises(Interrupted):
        feed(watch, "tool 0", cut_up(secret, 5))


def test_a_match_longer_than_the_window_is_seen_at_the_end():
    watch = monitor(ForbiddenContent({"block": "BEGIN[a-z ]*END"}))
    for piece in ["BEGIN", *["some words "] * 100, "END"]:
        watch.saw("text", piece)
    with pytest.raises(Interrupted):
        watch.finish()


def test_an_answer_within_its_reservation_is_never_cut_for_its_cost():
    limit = estimate_micro_usd(DOLLAR, 10, 100)
    watch = monitor(limit=limit)
    for _ in range(100):
        watch.saw("text", "four")
    with pytest.raises(Interrupted) as cut:
        watch.saw("text", "four")
    assert cut.value.interruption is Interruption.SPEND
    assert cut.value.interruption.category is ErrorCategory.EXHAUSTED


def test_large_pieces_count_by_their_bytes():
    with pytest.raises(Interrupted) as cut:
        monitor(limit=60).saw("text", "four" * 51)
    assert cut.value.interruption is Interruption.SPEND


def test_an_endless_answer_is_cut_for_its_size():
    watch = monitor()
    with pytest.raises(Interrupted) as cut:
        feed(watch, "text", ["x" * 1_048_576] * 9)
    assert cut.value.interruption is Interruption.SIZE


@pytest.mark.parametrize("opening", ["Sure", "\n ", "["])
def test_an_answer_that_opens_no_object_before_long_has_drifted(opening):
    watch = monitor(opening="{")
    feed(watch, "text", [opening, "word" * 200])
    with pytest.raises(Interrupted) as cut:
        feed(watch, "text", ["word" * 100])
    assert (cut.value.interruption, cut.value.interruption.category) == (
        Interruption.DRIFT,
        ErrorCategory.INVALID_OUTPUT,
    )


@pytest.mark.parametrize("opening", ["```json\n{", "Here it is:\n\n{", "<think>hm</think>{", " {"])
def test_an_object_in_a_fence_or_after_few_words_has_not_drifted(opening):
    watch = monitor(opening="{")
    feed(watch, "text", [*cut_up(opening, 2), *["word"] * 50])
    assert watch.began


def test_an_object_after_white_space_has_not_drifted():
    watch = monitor(opening="{")
    assert [watch.saw("text", piece) for piece in ["  ", "\n", ' {"a"', ": 1}", "and"]] == [None] * 5


@pytest.mark.parametrize(
    ("pieces", "output"), [([], 0), (["four"] * 3, 12), (["four" * 50], 100), (["x"] * 130, 130)]
)
def test_the_estimate_is_what_came_and_at_most_the_limit_unless_more_came(pieces, output):
    watch = monitor(output=100)
    for piece in pieces:
        watch.saw("text", piece)
    assert watch.usage().output_tokens == output
    assert watch.usage().input_tokens == 10
    assert cost_micro_usd(DOLLAR, watch.usage()) > 0


async def cut_off(host, request):
    with pytest.raises(CallFailed) as failed:
        await host.stream(request, lambda frame: None, Stop())
    return failed.value


async def test_a_leaking_answer_is_cut_off_on_the_wire(make_host, ask, last_log):
    failed = await cut_off(make_host(MonitorRules(AWS)), ask("leaky"))
    assert (failed.category, failed.interruptions) == (ErrorCategory.INVALID_OUTPUT, ("forbidden-content",))
    assert failed.partial is None
    assert "AKIA" not in failed.message
    assert failed.usage.output_tokens > 0
    log = await last_log()
    assert log["peer_left"] is True
    assert log["chunks"] < 200


async def test_a_drifting_answer_is_cut_off_on_the_wire(make_host, ask, last_log):
    failed = await cut_off(make_host(), ask("played", "drift", output_schema=SCHEMA))
    assert (failed.category, failed.interruptions) == (ErrorCategory.INVALID_OUTPUT, ("drift",))
    assert (await last_log())["peer_left"] is True


async def test_an_answer_over_its_spend_limit_is_cut_off_on_the_wire(make_host, ask, last_log):
    request = ask("played", "endless")
    limit = estimate_micro_usd(DOLLAR, input_token_bound(request.texts()), 20)
    failed = await cut_off(make_host(price=DOLLAR), ask("played", "endless", spend_limit_micro_usd=limit))
    assert (failed.category, failed.interruptions) == (ErrorCategory.EXHAUSTED, ("spend-limit",))
    assert cost_micro_usd(DOLLAR, failed.usage) > limit
    log = await last_log()
    assert log["peer_left"] is True
    assert log["chunks"] < 1000
