"""Metrics: what was committed is counted, once; what comes from outside cannot make series without end."""

import pytest

from bailiwick.base import Instant
from bailiwick.ports import Fenced, GuardFailed, Outcome, Posting, Report, SessionLost, Unit
from bailiwick.run import LeaseLost
from bailiwick.telemetry import MeasuredLedger, MeasuredPort, Metrics
from bailiwick.telemetry.labels import OTHER, Bounded


def posting(**changed):
    fields = {
        "id": "pst_1", "tenant": "t", "app": "shop", "run": "run_1", "step": "s", "role": "writer", "call": "k",
        "capability": "model:openai:gpt@1.0.0", "at": Instant(0), "cost_micro_usd": 250, "input_tokens": 100,
        "output_tokens": 7, "usage_source": "reported", "ended": "completed", "duration_ms": 1500,
        "first_token_ms": 20, "tries": 3, "interruptions": 1, "feature": "f", "team": "t",
    }  # fmt: skip
    return Posting(**{**fields, **changed})


async def text_of(metrics):
    text, media_type = await metrics.exposition(openmetrics=False)
    assert media_type.startswith("text/plain")
    return text.decode()


class FakeLedger:
    """A ledger that answers commits with what it was told to raise."""

    def __init__(self, refusal=None):
        self.refusal = refusal
        self.units = []

    async def commit(self, unit):
        if self.refusal is not None:
            raise self.refusal
        self.units.append(unit)


class FakePort:
    """A worker's port on which every lease is lost."""

    def __init__(self, refusal):
        self.refusal = refusal

    async def settle(self, session, outcome):
        raise self.refusal

    async def finish(self, session, report):
        raise self.refusal


async def test_a_settled_model_call_is_counted_by_model_app_and_feature():
    metrics = Metrics(process=False)
    ledger = FakeLedger()
    unit = Unit(tenant="t", postings=(posting(), posting(usage_source="estimated", tries=1)))
    await MeasuredLedger(ledger, metrics).commit(unit)
    assert ledger.units == [unit]
    text = await text_of(metrics)
    for line in (
        'bailiwick_model_tokens_total{direction="in",model="openai:gpt",source="reported"} 100.0',
        'bailiwick_model_tokens_total{direction="out",model="openai:gpt",source="estimated"} 7.0',
        'bailiwick_model_calls_total{ended="completed",model="openai:gpt"} 2.0',
        'bailiwick_cost_micro_usd_total{app="shop",feature="f"} 500.0',
        'bailiwick_model_cost_micro_usd_total{model="openai:gpt"} 500.0',
        'bailiwick_drift_interruptions_total{model="openai:gpt"} 2.0',
        'bailiwick_retries_total{of="call"} 2.0',
        'bailiwick_model_call_seconds_sum{model="openai:gpt"} 3.0',
        'bailiwick_model_first_token_seconds_count{model="openai:gpt"} 2.0',
        'bailiwick_hop_seconds_count{hop="commit"} 1.0',
    ):
        assert line in text, line


async def test_a_tool_call_costs_and_is_no_model():
    metrics = Metrics(process=False)
    metrics.unit(Unit(tenant="t", postings=(posting(capability="git.apply@1.0.0", tries=1),)))
    text = await text_of(metrics)
    assert 'bailiwick_cost_micro_usd_total{app="shop",feature="f"} 250.0' in text
    assert "git.apply" not in text


@pytest.mark.parametrize("refusal", [Fenced(task="t", epoch=1), GuardFailed(guard="approval", id="a")])
async def test_what_was_not_committed_is_not_counted_as_if_it_were(refusal):
    metrics = Metrics(process=False)
    with pytest.raises(type(refusal)):
        await MeasuredLedger(FakeLedger(refusal), metrics).commit(Unit(tenant="t", postings=(posting(),)))
    text = await text_of(metrics)
    assert "bailiwick_cost_micro_usd_total{" not in text
    assert 'hop="commit"' not in text
    assert ('bailiwick_fenced_writes_total{code="fenced"} 1.0' in text) == isinstance(refusal, Fenced)


@pytest.mark.parametrize(
    ("refusal", "counted"),
    [
        (LeaseLost(step="s", epoch=1, held=2), "lease_lost"),
        (SessionLost("ses_1"), "session_lost"),
        (Fenced(task="t", epoch=1), ""),
    ],
)
async def test_a_lost_lease_is_counted_in_one_place(refusal, counted):
    metrics = Metrics(process=False)
    port = MeasuredPort(FakePort(refusal), metrics)
    outcome = Outcome("k", "t", "run_1", "s", 1, "done")
    with pytest.raises(type(refusal)):
        await port.settle("ses_1", outcome)
    report = Report(task="run_1/s", tenant="t", run="run_1", step="s", epoch=1)
    with pytest.raises(type(refusal)):
        await port.finish("ses_1", report)
    text = await text_of(metrics)
    assert ("bailiwick_fenced_writes_total{" in text) == bool(counted)
    if counted:
        assert f'bailiwick_fenced_writes_total{{code="{counted}"}} 2.0' in text


async def test_names_from_outside_make_a_bounded_number_of_series():
    metrics = Metrics(process=False)
    for at in range(500):
        metrics.unit(Unit(tenant="t", postings=(posting(feature=f"f{at}", capability=f"model:m{at}@1.0.0"),)))
        metrics.refused(f"code{at}")
    text = await text_of(metrics)
    assert text.count("bailiwick_cost_micro_usd_total{") == 65
    assert text.count("bailiwick_model_calls_total{") == 65
    assert f'bailiwick_cost_micro_usd_total{{app="shop",feature="{OTHER}"}} {436 * 250:.1f}' in text
    assert "run_1" not in text


def test_a_bounded_label_keeps_the_first_names_for_good():
    bounded = Bounded(2)
    assert [bounded(name) for name in ("a", "b", "c", "a", "d", "b")] == ["a", "b", OTHER, "a", OTHER, "b"]


async def test_the_queue_is_asked_at_each_scrape_and_an_empty_pool_shows_zero():
    depths = [{"default": 7, "gpu": 1}, {"default": 2}]

    async def depth():
        return depths.pop(0)

    metrics = Metrics(depths=depth, process=False)
    assert 'bailiwick_queue_depth{pool="default"} 7.0' in await text_of(metrics)
    text = await text_of(metrics)
    assert 'bailiwick_queue_depth{pool="default"} 2.0' in text
    assert 'bailiwick_queue_depth{pool="gpu"} 0.0' in text


async def test_the_oldest_open_request_and_step_are_asked_for_at_each_scrape():
    waits, steps = [12.5, 0.0], [0.5, 3.5]

    async def waited():
        return waits.pop(0)

    async def queued():
        return steps.pop(0)

    metrics = Metrics(waited=waited, queued=queued, process=False)
    text = await text_of(metrics)
    assert "bailiwick_oldest_approval_seconds 12.5" in text
    assert "bailiwick_oldest_step_seconds 0.5" in text
    text = await text_of(metrics)
    assert "bailiwick_oldest_approval_seconds 0.0" in text
    assert "bailiwick_oldest_step_seconds 3.5" in text


async def test_openmetrics_is_complete_and_two_meters_are_apart():
    first, second = Metrics(), Metrics()
    first.fenced("fenced")
    text, media_type = await first.exposition(openmetrics=True)
    assert media_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    assert b"process_resident_memory_bytes" in text
    assert 'code="fenced"' not in await text_of(second)
