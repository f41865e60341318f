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
    parse_ref,
    select_version,
)
from bailiwick.plan import RuleBook, Workflow
from bailiwick.service.refusals import NotFound

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

    def served(self, ref: str) -> str:
        """Name the exact version that serves a capability; what nobody offers names itself."""
        name = ref.partition("@")[0]
        return self[ref].ref if name in self.versions else ref


def _content(contract: Contract) -> dict[str, Any]:
    """Write a contract without the fingerprint of its code, which is no part of what it promises."""
    content: dict[str, Any] = msgspec.to_builtins(contract)
    content.pop("code", None)
    return content


def contracts_of(body: bytes) -> Contracts:
    """Read back the contracts that were kept as `Contracts.body`."""
    return Contracts(msgspec.convert(parse_canonical(body), list[Contract]))


class AppEntry(msgspec.Struct, frozen=True):
    """What one app offers to its tenant: its own agents and tools, and the tools of the platform."""

    name: str
    tenant: str
    workflows: Mapping[str, Workflow]
    agents: Mapping[str, AgentDefinition]
    rules: RuleBook
    contracts: Contracts


class Catalogue:
    """Contracts by exact name, and what each app lets run.

    An app belongs to one tenant, or to `EVERY`; what it brings along (its functions, the hosts that it may speak to)
    is its own: to other apps, and to other tenants, it does not exist.

    Args:
        tools: Contracts of the tool host.
        apps: The apps of this deployment.
        rules: The rule book of each app, built-in rules included, by the app's name.
        tenant: Whose the apps are that name no tenant.
    """

    def __init__(
        self,
        tools: Iterable[Contract],
        apps: Iterable[App],
        rules: Mapping[str, RuleBook],
        tenant: str = EVERY,
    ) -> None:
        offered, known = tuple(tools), tuple(apps)
        brought = {name for app in known for name in app.brings}
        shared = tuple(contract for contract in offered if contract.name not in brought)
        self.apps: dict[str, AppEntry] = {}
        for app in known:
            agents = (agent.contract for agent in app.agents.values())
            own = (contract for contract in offered if contract.name in app.brings)
            self.apps[app.name] = AppEntry(
                app.name,
                app.tenant or tenant,
                app.workflows,
                app.agents,
                rules[app.name],
                Contracts((*shared, *own, *agents)),
            )
        self._shared = Contracts(shared)

    def app(self, tenant: str, name: str) -> AppEntry:
        """Find an app of a tenant.

        Raises:
            NotFound: The tenant has none of this name.
        """
        entry = self.apps.get(name)
        if entry is None or entry.tenant not in (tenant, EVERY):
            raise NotFound("app", name)
        return entry

    def contracts(self, tenant: str, app: str) -> Contracts:
        """List what an app of a tenant may use; of an app that is gone, the platform's tools are left."""
        entry = self.apps.get(app)
        own = entry is not None and entry.tenant in (tenant, EVERY)
        return entry.contracts if entry is not None and own else self._shared

    def digest(self, tenant: str, app: str, contract: Contract) -> Digest:
        """Name a contract that an app uses, or a model's; computed once."""
        if contract.kind is Kind.MODEL:
            return _model_digest(contract.name.removeprefix("model:"))
        return self.contracts(tenant, app).digests[contract.ref]
