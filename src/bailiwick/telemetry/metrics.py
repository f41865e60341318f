"""Metrics: what is counted, under which names; labels are bounded and never hold the id of a run."""

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_text

from bailiwick.ports import ApprovalState, Posting, Unit
from bailiwick.run import CONTEXT, PLAN, AttemptRefused, CallMoved, Closed, Escalated, Event, Run, StepStatus
from bailiwick.telemetry.hiding import Hidden
from bailiwick.telemetry.labels import Bounded
from bailiwick.telemetry.meters import Counts, Times

MAX_NAMES = 64
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_MODEL = "model:"
_MICROSECONDS = 1_000_000

Depths = Callable[[], Awaitable[Mapping[str, int]]]
"""Answers how many tasks are due, by pool."""
Waited = Callable[[], Awaitable[float]]
"""Answers for how many seconds the oldest has waited, of requests to humans or of due steps; 0 if there is none."""

Clocked = Callable[[], tuple[float, float]]
"""Answers how far the machine's clock is ahead of the store's, and by how much the latter may be wrong; in seconds."""


class Metrics:
    """The meters of one process, in a registry of their own.

    Args:
        depths: Asked at each scrape for the depth of the queue; None when this process has no queue.
        waited: Asked at each scrape how long the oldest open request to humans waits; None without a ledger.
        queued: Asked at each scrape how long the oldest due step waits for a worker; None without a queue.
        clock: Asked at each scrape for the offset and error of this process's clock; None without a store.
        process: Whether memory, processor time and open files of the process are shown too.
    """

    def __init__(
        self,
        *,
        depths: Depths | None = None,
        waited: Waited | None = None,
        queued: Waited | None = None,
        clock: Clocked | None = None,
        process: bool = True,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._depths = depths
        self._waited = waited
        self._queued = queued
        self._clock = clock
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self._models = Bounded(MAX_NAMES)
        self._apps = Bounded(MAX_NAMES)
        self._features = Bounded(MAX_NAMES)
        self._codes = Bounded(2 * MAX_NAMES)
        self._pools: set[str] = set()
        self._make_edge()
        self._make_runs()
        self._make_spending()

    def _counter(self, name: str, text: str, *labels: str) -> Counts:
        counts = Counts(f"bailiwick_{name}", text, labels)
        self.registry.register(counts)
        return counts

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Times:
        times = Times(f"bailiwick_{name}", text, buckets, labels)
        self.registry.register(times)
        return times

    def _make_edge(self) -> None:
        self._requests = self._counter(
            "http_requests", "Answered requests by route.", "method", "route", "status"
        )
        self._request_seconds = self._histogram(
            "http_request_seconds", "Time to a response's first byte.", _FAST, "method", "route"
        )
        self._refusals = self._counter("refusals", "Refused requests by code.", "code")
        self._hops = self._histogram(
            "hop_seconds",
            "Time of one hop of a run's way: submit, claim (ready to claimed), act, settle, finish, commit.",
            _FAST,
            "hop",
        )
        self._fenced = self._counter("fenced_writes", "Writes thrown away for a lost lease, by code.", "code")
        self._depth = Gauge("bailiwick_queue_depth", "Tasks that are due.", ["pool"], registry=self.registry)
        self._oldest_step = Gauge(
            "bailiwick_oldest_step_seconds",
            "For how long the oldest due step has waited for a worker; 0: none waits.",
            registry=self.registry,
        )

        self._clock_offset = Gauge(
            "bailiwick_clock_offset_seconds",
            "How far the machine's clock is ahead of the store's; what is decided goes by the store's.",
            registry=self.registry,
        )
        self._clock_error = Gauge(
            "bailiwick_clock_error_seconds",
            "By how much this process may be wrong about the store's time at most; above 0.5 it decides nothing.",
            registry=self.registry,
        )
        self._broken = Gauge(
            "bailiwick_broken_logs",
            "Logs that were changed behind the platform's back; their tenants are read-only.",
            registry=self.registry,
        )

    def _make_runs(self) -> None:
        self._created = self._counter("runs_created", "Runs that began, by app.", "app")
        self._closed = self._counter("runs_closed", "Runs that ended, by status and app.", "status", "app")
        self._stages = self._histogram(
            "run_stage_seconds",
            "Time of a run in a stage: context, plan, execute (waits for people included).",
            _SLOW,
            "stage",
        )
        self._moves = self._counter("step_transitions", "Steps that came into a status.", "to")
        self._actions = self._counter(
            "actions", "Actions that came into a state of the journal.", "state", "effect"
        )
        self._attempts = self._counter(
            "refused_attempts", "What steps asked for and was no action, by code of the latest.", "code"
        )
        self._retries = self._counter(
            "retries", "Attempts after the first (step), tries after the first (call).", "of"
        )
        self._approvals = self._counter(
            "approvals", "Requests to humans and what became of them.", "decision"
        )
        self._oldest = Gauge(
            "bailiwick_oldest_approval_seconds",
            "For how long the oldest open request to humans has waited; 0: there is none.",
            registry=self.registry,
        )

    def _make_spending(self) -> None:
        self._tokens = self._counter("model_tokens", "Tokens by model.", "model", "direction", "source")
        self._calls = self._counter("model_calls", "Settled model calls.", "model", "ended")
        self._call_seconds = self._histogram("model_call_seconds", "Time of a model call.", _SLOW, "model")
        self._first_token = self._histogram(
            "model_first_token_seconds", "Time to a model call's first token.", _SLOW, "model"
        )
        self._interruptions = self._counter(
            "drift_interruptions", "Answers that the monitor cut off.", "model"
        )
        self._capped = self._counter(
            "usage_claims_capped", "Providers' claims of more tokens than can have been used.", "model"
        )
        self._cost = self._counter("cost_micro_usd", "What settled calls cost.", "app", "feature")
        self._cost_by_model = self._counter("model_cost_micro_usd", "What model calls cost.", "model")

    def broken_logs(self, count: int) -> None:
        """Say how many logs are broken."""
        self._broken.set(count)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; see `http.Meter`."""
        self._requests.add(method, route, str(status))
        self._request_seconds.observe(seconds, method, route)

    def refused(self, code: str) -> None:
        """Count a refusal."""
        self._refusals.add(self._codes(code))

    def hop(self, name: str, seconds: float) -> None:
        """Time one hop."""
        self._hops.observe(seconds, name)

    def fenced(self, code: str) -> None:
        """Count a write that was thrown away."""
        self._fenced.add(code)

    async def exposition(self, *, openmetrics: bool, named: bool = True) -> tuple[bytes, str]:
        """Write all metrics; answer the text and its media type. Unless `named`, without the names that tenants gave."""
        if self._depths is not None:
            depths = await self._depths()
            self._pools.update(depths)
            for pool in sorted(self._pools):
                self._depth.labels(pool).set(depths.get(pool, 0))
        if self._waited is not None:
            self._oldest.set(await self._waited())
        if self._queued is not None:
            self._oldest_step.set(await self._queued())
        if self._clock is not None:
            offset, error = self._clock()
            self._clock_offset.set(offset)
            self._clock_error.set(error)
        shown = CollectorRegistry()
        shown.register(Hidden(self.registry))
        source = self.registry if named else shown
        if openmetrics:
            text = openmetrics_text.generate_latest(source)  # type: ignore[no-untyped-call]
            return text, openmetrics_text.CONTENT_TYPE_LATEST
        return generate_latest(source), CONTENT_TYPE_PLAIN_0_0_4

    def committed(self, before: Run | None, after: Run, events: tuple[Event, ...]) -> None:
        """See a run's change; give this to `Platform.observers`."""
        if before is None:
            self._created.add(self._apps(after.app))
        for event in events:
            self._observe_moves(before, after, event)
            if isinstance(event, CallMoved):
                self._actions.add(event.call.state.value, event.call.effect.value)
            elif isinstance(event, AttemptRefused):
                self._attempts.add(self._codes(event.code), by=event.count)
            elif isinstance(event, Escalated):
                self._approvals.add("escalated")
            elif isinstance(event, Closed):
                self._closed.add(event.status.value, self._apps(after.app))
                self._observe_stages(after)

    def _observe_moves(self, before: Run | None, after: Run, event: Event) -> None:
        for move in event.moves:
            self._moves.add(move.to.value)
            old = before.steps.get(move.step) if before is not None else None
            if old is None:
                continue
            if move.attempt > old.attempt:
                self._retries.add("step")
            if old.status is StepStatus.READY and move.to is StepStatus.RUNNING and move.epoch > 0:
                self.hop("claim", max(after.updated_at - old.since, 0) / _MICROSECONDS)

    def _observe_stages(self, run: Run) -> None:
        began = run.created_at
        for stage, name in (("context", CONTEXT), ("plan", PLAN)):
            step = run.steps.get(name)
            if step is None or step.status is not StepStatus.SUCCEEDED:
                return
            self._stages.observe(max(step.since - began, 0) / _MICROSECONDS, stage)
            began = step.since
        self._stages.observe(max(run.updated_at - began, 0) / _MICROSECONDS, "execute")

    def unit(self, unit: Unit) -> None:
        """See a unit that was committed: what was spent and what people decided."""
        for posting in unit.postings:
            self._observe_posting(posting)
        for _ in unit.new_approvals:
            self._approvals.add("requested")
        for move in unit.moved_approvals:
            # A parked action that policy let go on keeps its request open: nobody decided anything.
            if move.approval.state is not ApprovalState.PENDING:
                self._approvals.add(move.approval.state.value)

    def _observe_posting(self, posting: Posting) -> None:
        self._cost.add(self._apps(posting.app), self._features(posting.feature), by=posting.cost_micro_usd)
        if posting.tries > 1:
            self._retries.add("call", by=posting.tries - 1)
        if not posting.capability.startswith(_MODEL):
            return
        model = self._models(posting.capability.removeprefix(_MODEL).rpartition("@")[0])
        source = posting.usage_source
        self._tokens.add(model, "in", source, by=posting.input_tokens)
        self._tokens.add(model, "out", source, by=posting.output_tokens)
        if source == "capped":
            self._capped.add(model)
        self._calls.add(model, posting.ended)
        self._cost_by_model.add(model, by=posting.cost_micro_usd)
        self._call_seconds.observe(posting.duration_ms / 1000, model)
        if posting.first_token_ms:
            self._first_token.observe(posting.first_token_ms / 1000, model)
        if posting.interruptions:
            self._interruptions.add(model, by=posting.interruptions)
