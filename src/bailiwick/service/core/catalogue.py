"""The catalogue: every capability, workflow and rule that this deployment knows, as data."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from bailiwick.app import EVERY, AgentDefinition, App
from bailiwick.base import Digest, canonical, digest_of, parse_canonical
from bailiwick.contract import (
    CapabilityRef,
    Contract,
    EffectClass,
    Kind,
    contract_digest,
    fault_of_serving,
    parse_ref,
    select_version,
)
from bailiwick.contract.version import parse_version
from bailiwick.plan import RuleBook, Workflow
from bailiwick.service.core.refusals import NotFound

_MODELS = 256
_ANY_OBJECT = {"type": "object"}


@lru_cache(maxsize=_MODELS)
def model_contract(name: str) -> Contract:
    """Make the contract of a model: metered, whatever it answers."""
    parameters = {
        "type": "object",
        "properties": {"max_output_tokens": {"type": "integer", "minimum": 1, "maximum": 10_000_000}},
        "required": ["max_output_tokens"],
    }
    fields = {
        "model": {"const": name},
        "parameters": parameters,
        "previous": {"type": "string"},
        "messages": {"type": "array"},
    }
    return Contract(
        name=f"model:{name}",
        version="1.0.0",
        kind=Kind.MODEL,
        effect=EffectClass.METERED,
        input={
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        },
        output=_ANY_OBJECT,
        timeout_seconds=300,
    )


@lru_cache(maxsize=_MODELS)
def _model_digest(name: str) -> Digest:
    return contract_digest(model_contract(name))


class Contracts(dict[str, Contract]):
    """Contracts by exact name; a name that is gone is served by a later minor or patch version of it.

    `body` are their canonical bytes, `digest` names these: a run cites them, so that they are kept for a replay.
    """

    def __init__(self, contracts: Iterable[Contract]) -> None:
        super().__init__({contract.ref: contract for contract in contracts})
        self.digests = {ref: contract_digest(contract) for ref, contract in self.items()}
        self.versions: dict[str, dict[str, Contract]] = {}
        self.body = canonical([_content(contract) for _, contract in sorted(self.items())])
        self.digest = digest_of(self.body)
        for contract in self.values():
            self.versions.setdefault(contract.name, {})[contract.version] = contract

    def __missing__(self, ref: str) -> Contract:
        name = ref.partition("@")[0]
        floor = parse_ref(ref).floor[:2]
        offered = self.versions.get(name, {})
        chosen = select_version(offered, CapabilityRef(name, floor)) if floor else None
        if chosen is None:
            raise NotFound("capability", ref)
        return offered[chosen]


def _content(contract: Contract) -> dict[str, Any]:
    """Write a contract without the fingerprint of its code, which is no part of what it promises."""
    content: dict[str, Any] = msgspec.to_builtins(contract)
    content.pop("code", None)
    return content


def contracts_of(body: bytes) -> Contracts:
    """Read back the contracts that were kept as `Contracts.body`."""
    return Contracts(msgspec.convert(parse_canonical(body), list[Contract]))


class AppEntry(msgspec.Struct, frozen=True):
    """What one app offers to its tenant: its own agents and tools, and the tools of the platform.

    `pins` are what its runs pin of each agent, `meanings` the digest and body of what constraints mean; `kept` are
    the bodies, by digest, that must be stored before a run that pins them.
    """

    name: str
    tenant: str
    workflows: Mapping[str, Workflow]
    agents: Mapping[str, AgentDefinition]
    rules: RuleBook
    contracts: Contracts
    pins: Mapping[str, dict[str, Any]]
    meanings: tuple[Digest, bytes]
    kept: tuple[tuple[Digest, bytes], ...]

    def coded(self, ref: str) -> str:
        """Name the code agent that serves a capability: the exact one, or a later minor or patch; empty for none."""
        exact = self.agents.get(ref)
        if exact is not None and exact.run is not None:
            return ref
        code = [each.contract for each in self.agents.values() if each.run is not None]
        name = ref.partition("@")[0]
        versions = [contract.version for contract in code if contract.name == name]
        chosen = select_version(versions, CapabilityRef(name, parse_ref(ref).floor[:2]))
        return f"{name}@{chosen}" if chosen is not None else ""


def _entry(app: App, tenant: str, offered: Iterable[Contract], rules: RuleBook) -> AppEntry:
    contracts = Contracts((*offered, *(agent.contract for agent in app.agents.values())))
    pins: dict[str, dict[str, Any]] = {}
    kept = [(contracts.digest, contracts.body)]
    for ref, agent in app.agents.items():
        pins[ref] = {"prompt": agent.pin, "model": agent.model}
        if agent.run is not None:
            pins[ref]["code"] = True
        else:
            kept.append((digest_of(agent.text), agent.text))
    meant = canonical([list(meaning) for meaning in rules.meanings])
    meanings = (digest_of(meant), meant)
    return AppEntry(
        app.name, tenant, app.workflows, app.agents, rules, contracts, pins, meanings, (*kept, meanings)
    )


class Catalogue:
    """Contracts by exact name, and what each app lets run.

    An app belongs to one tenant, or to `EVERY`; what it brings along (its functions, the hosts that it may speak to)
    is its own: to other apps, and to other tenants, it does not exist.

    Args:
        tools: Contracts of the tool host.
        apps: The apps of this deployment.
        rules: The rule book of each app, built-in rules included, by the app's name.
        tenant: Whose the apps are that name no tenant.
        providers: The providers of models that are configured; None: whoever calls a model finds out.
    """

    def __init__(
        self,
        tools: Iterable[Contract],
        apps: Iterable[App],
        rules: Mapping[str, RuleBook],
        tenant: str = EVERY,
        providers: Iterable[str] | None = None,
    ) -> None:
        offered, known = tuple(tools), tuple(apps)
        brought = {name for app in known for name in app.brings}
        shared = tuple(contract for contract in offered if contract.name not in brought)
        self._providers = None if providers is None else frozenset(providers)
        self.apps: dict[str, AppEntry] = {}
        for app in known:
            own = tuple(contract for contract in offered if contract.name in app.brings)
            self.apps[app.name] = _entry(app, app.tenant or tenant, (*shared, *own), rules[app.name])
        self._shared = Contracts(shared)

    def find(self, tenant: str, name: str) -> AppEntry | None:
        """Find an app of a tenant; None when it has none of this name, or none any more."""
        entry = self.apps.get(name)
        return entry if entry is not None and entry.tenant in (tenant, EVERY) else None

    def app(self, tenant: str, name: str) -> AppEntry:
        """Find an app of a tenant.

        Raises:
            NotFound: The tenant has none of this name.
        """
        entry = self.find(tenant, name)
        if entry is None:
            raise NotFound("app", name)
        return entry

    def contracts(self, tenant: str, app: str) -> Contracts:
        """List what an app of a tenant may use; of an app that is gone, the platform's tools are left."""
        entry = self.find(tenant, app)
        return entry.contracts if entry is not None else self._shared

    def serving(self, tenant: str, app: str, contract: Contract, digest: Digest) -> Contract | str:
        """Find what serves a pinned contract now: itself, or one that keeps all that it promised; else say why none.

        Args:
            tenant: Whose run it is.
            app: Which app's.
            contract: The pinned contract, of a tool or a model.
            digest: Its digest.
        """
        if contract.kind is Kind.MODEL:
            provider = contract.name.removeprefix("model:").partition(":")[0]
            known = self._providers is None or provider in self._providers
            return contract if known else f"no provider {provider} of models is configured"
        offered = self.contracts(tenant, app)
        return contract if offered.digests.get(contract.ref) == digest else _later(offered, contract)


def _later(offered: Contracts, contract: Contract) -> Contract | str:
    """Find the newest contract that may serve in the place of one that is gone or was changed."""
    versions = offered.versions.get(contract.name, {})
    own = [versions[contract.version]] if contract.version in versions else []
    newest = sorted(versions, key=lambda version: parse_version(version) or (0, 0, 0), reverse=True)
    fault = f"no tool {contract.name} is offered any more"
    for candidate in (*own, *(versions[version] for version in newest)):
        fault = fault_of_serving(contract, candidate)
        if not fault:
            return candidate
    return fault


def digest_of_contract(contracts: Contracts, contract: Contract) -> Digest:
    """Name a contract that a run holds on to, or a model's; computed once."""
    if contract.kind is Kind.MODEL:
        return _model_digest(contract.name.removeprefix("model:"))
    return contracts.digests.get(contract.ref) or contract_digest(contract)
