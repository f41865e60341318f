"""`App`: what an application author writes: agents, tools, rules and workflows of one application."""

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bailiwick.app.context import Context
from bailiwick.app.shorthand import object_schema
from bailiwick.base import Json, canonical, digest_of
from bailiwick.contract import Contract, EffectClass, Kind, parse_contract
from bailiwick.plan import Rule, Workflow, parse_workflow

_MOST_OUTPUT = 1_000_000
_VERBS = ("get", "request")
EVERY = "*"
"""The tenant of an app that all tenants may use."""

_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

CodeAgent = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any]]]
_Agent = TypeVar("_Agent", bound=CodeAgent)
_Function = TypeVar("_Function", bound=Callable[..., Any])


class AgentDefinition(msgspec.Struct, frozen=True):
    """An agent as its author wrote it. `run` is set for a code agent, `prompt` for a platform-run one.

    `output` in the contract is what its answer is held to; `model` overrides the app's default.
    """

    contract: Contract
    prompt: str = ""
    model: str = ""
    max_turns: int = 12
    max_output_tokens: int = 4096
    run: CodeAgent | None = None

    @property
    def text(self) -> bytes:
        """What a run keeps of this agent beside contract and model: prompt, tools and limits, not code."""
        return canonical(
            [
                self.contract.ref,
                self.prompt,
                list(self.contract.tools),
                self.max_turns,
                self.max_output_tokens,
            ]
        )

    @property
    def pin(self) -> str:
        """The digest by which a run pins the text."""
        return digest_of(self.text)


class FunctionTool(msgspec.Struct, frozen=True):
    """A Python function that is offered as a tool."""

    function: Callable[..., Any]
    name: str
    version: str
    effect: EffectClass
    options: dict[str, Any]


class RepositorySource(msgspec.Struct, frozen=True):
    """A repository that the `git` tools may work on: a folder, or seed files (by path) to make one from.

    A seeded repository lies in the data directory and is made at the first start.
    """

    path: Path | None = None
    seed: dict[str, str] = {}


class HttpAccess(msgspec.Struct, frozen=True):
    """Hosts that an app may speak to, as two tools; see `App.http`."""

    name: str
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    keys_kept_hours: int | None
    credential: str
    header: str
    prefix: str
    redirects: int
    timeout_seconds: int
    version: str
    probe: str = ""


class Intent(msgspec.Struct, frozen=True):
    """What `bailiwick run FILE` submits when the app is run as a program."""

    workflow: str
    title: str
    input: dict[str, Any]
    constraints: tuple[str, ...]
    budget_usd: str
    deadline_seconds: int
    labels: dict[str, str]


class App:
    """One application: a name, what it provides, and what it lets run.

    Args:
        name: Lower case, unique in the tenant.
        model: The model of agents that name none, for example `openai:gpt-5-mini` or `scripted:plain`.
        recording: For a scripted model: the recorded script it plays.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str = "scripted:plain",
        recording: Path | str | None = None,
        tenant: str = "",
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.model = model
        self.recording = Path(recording) if recording else None
        self.agents: dict[str, AgentDefinition] = {}
        self.tools: list[FunctionTool] = []
        self.rules: list[Rule] = []
        self.workflows: dict[str, Workflow] = {}
        self.policies: dict[str, str] = {}
        self.repositories: dict[str, RepositorySource] = {}
        self.accesses: list[HttpAccess] = []
        self.groups: tuple[str, ...] = ()
        self.intent: Intent | None = None

    def agent(
        self,
        name: str,
        *,
        prompt: str = "",
        output: Any,
        input: Any = None,
        tools: tuple[str, ...] | list[str] = (),
        model: str = "",
        version: str = "1.0.0",
        max_turns: int = 12,
        max_output_tokens: int = 4096,
        timeout_seconds: int = 600,
        run: CodeAgent | None = None,
    ) -> AgentDefinition:
        """Declare an agent; `output` and `input` are JSON Schemas, types or shorthands (see `object_schema`).

        One answer of its model has at most `max_output_tokens` (1 to 1,000,000), thinking included: as many are
        reserved for each call, and an answer that is cut there is not used.

        Raises:
            InvalidShorthand: `output` or `input` is no declaration of an object that could be.
            ValueError: `max_output_tokens` is out of its bounds.
        """
        if not 1 <= max_output_tokens <= _MOST_OUTPUT:
            raise ValueError(f"max_output_tokens is 1 to {_MOST_OUTPUT:,}")
        contract = parse_contract(
            {
                "name": name,
                "version": version,
                "kind": Kind.AGENT,
                "effect": EffectClass.READ_ONLY,
                "input": object_schema(input) if input is not None else {"type": "object"},
                "output": object_schema(output),
                "tools": tuple(tools),
                "timeout_seconds": timeout_seconds,
                "summary": (prompt or (inspect.getdoc(run) or "")).split("\n")[0][:200],
                "code": _fingerprint(run) if run else "",
            }
        )
        definition = AgentDefinition(
            contract, prompt, model or self.model, max_turns, max_output_tokens, run=run
        )
        self.agents[contract.ref] = definition
        return definition

    def code_agent(self, name: str, *, output: Any, **options: Any) -> Callable[[_Agent], _Agent]:
        """Declare an agent written as `async def agent(ctx, input) -> output`."""

        def register(run: _Agent) -> _Agent:
            self.agent(name, output=output, run=run, **options)
            return run

        return register

    def tool(
        self,
        name: str,
        *,
        effect: EffectClass | str = EffectClass.READ_ONLY,
        version: str = "1.0.0",
        **options: Any,
    ) -> Callable[[_Function], _Function]:
        """Offer a Python function as a tool; its schemas come from its annotations.

        `options` are further fields of its contract, `credentials` among them. `probe` names a read-only tool that says
        whether a call of this one was applied: it takes `key` and `arguments` and answers with a `Probe`.
        """

        def register(function: _Function) -> _Function:
            self.tools.append(FunctionTool(function, name, version, EffectClass(effect), options))
            return function

        return register

    def rule(self, rule: Rule) -> Rule:
        """Add an architect rule."""
        self.rules.append(rule)
        return rule

    def workflow(
        self, name: str, *, steps: list[dict[str, Json]], version: str = "1.0.0", **fields: Json
    ) -> Workflow:
        """Declare a workflow: the fields of docs/workflows.md as keywords.

        Raises:
            PlanRefused: The workflow is not well formed; findings name the places.
        """
        workflow = parse_workflow({"name": name, "version": version, "steps": steps, **fields})
        self.workflows[name] = workflow
        return workflow

    def policy(self, name: str, text: str) -> None:
        """Add a Cedar policy file on top of the default bundle."""
        self.policies[name] = text

    def repository(
        self, name: str, path: Path | str | None = None, *, seed: Path | dict[str, str] | None = None
    ) -> None:
        """Let the `git` tools work on a repository, under a name; agents never see its path.

        Args:
            name: What intents and agents call it.
            path: A repository of yours.
            seed: Instead of a path: files (or a folder of them) to make a new one from.
        """
        files = _files_below(seed) if isinstance(seed, Path) else seed
        self.repositories[name] = RepositorySource(Path(path) if path else None, files or {})

    def http(
        self,
        *hosts: str,
        name: str = "http",
        methods: tuple[str, ...] | list[str] = (),
        keys_kept_hours: int | None = None,
        credential: str = "",
        header: str = "Authorization",
        prefix: str = "Bearer ",
        redirects: int = 0,
        timeout_seconds: int = 30,
        version: str = "1.0.0",
        probe: str = "",
    ) -> None:
        """Let agents speak to hosts, with the tools `NAME.get` (reads) and, given methods, `NAME.request` (writes).

        Args:
            hosts: `host` or `host:port`, over https; a deployment's own may stand behind `http://`.
            name: Unique among the tools of the deployment.
            methods: Of POST, PUT, PATCH, DELETE; none means that nothing is written.
            keys_kept_hours: How long all these hosts remember an Idempotency-Key. Without it a write is an external
                action: policy must permit it by name, and a lost answer is for a person to settle.
            credential: `env:NAME` or `file:/path`, sent as `header: prefix + value`; agents never see it.
            header: The credential's header.
            prefix: What stands before the credential.
            redirects: How many a read follows, 3 at most, to these hosts only. At 0 the agent is shown where it
                leads, so that each address passes the gate.
            timeout_seconds: Of one call.
            version: Of both tools; raise it when the declaration changes.
            probe: A read-only tool that says whether a write was applied; see `tool`. It finds the write by the `key`
                that its host was sent as Idempotency-Key, or by its `arguments`.

        Raises:
            ValueError: No host, an unknown method, more redirects than 3, or a probe where nothing is written.
        """
        if not hosts or not set(methods) <= _WRITING or not 0 <= redirects <= 3:
            raise ValueError("http needs a host; methods are POST, PUT, PATCH, DELETE; redirects are 0 to 3")
        if probe and not methods:
            raise ValueError("a probe says whether a write was applied: name the methods that write")
        access = HttpAccess(
            name, hosts, tuple(methods), keys_kept_hours, credential, header, prefix, redirects,
            timeout_seconds, version, probe,
        )  # fmt: skip
        self.accesses.append(access)

    @property
    def brings(self) -> frozenset[str]:
        """The names of the tools that it brings along; no other app has them."""
        own = {tool.name for tool in self.tools}
        return frozenset(own | {f"{access.name}.{verb}" for access in self.accesses for verb in _VERBS})

    def on_run(
        self,
        workflow: str,
        title: str,
        *,
        input: dict[str, Any] | None = None,
        constraints: tuple[str, ...] | list[str] = (),
        budget_usd: str = "1.00",
        deadline_seconds: int = 3600,
        labels: dict[str, str] | None = None,
    ) -> None:
        """Say what `bailiwick run FILE` submits."""
        given = input if input is not None else {}
        marks = labels if labels is not None else {}
        self.intent = Intent(workflow, title, given, tuple(constraints), budget_usd, deadline_seconds, marks)


def _files_below(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def _fingerprint(function: Callable[..., Any]) -> str:
    try:
        return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    except (OSError, TypeError):  # defined where no source is kept (a shell, a frozen program)
        return ""
