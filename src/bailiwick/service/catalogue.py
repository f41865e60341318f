"""The catalogue: every capability, workflow and rule that this deployment knows, as data."""

from collections.abc import Iterable, Mapping

import msgspec

from bailiwick.app import AgentDefinition, App
from bailiwick.base import Digest
from bailiwick.contract import Contract, EffectClass, Kind, contract_digest
from bailiwick.plan import RuleBook, Workflow
from bailiwick.service.refusals import NotFound

_ANY_OBJECT = {"type": "object"}


def model_contract(name: str) -> Contract:
    """Make the contract of a model: metered, whatever it answers."""
    return Contract(
        name=f"model:{name}",
        version="1.0.0",
        kind=Kind.MODEL,
        effect=EffectClass.METERED,
        input=_ANY_OBJECT,
        output=_ANY_OBJECT,
        timeout_seconds=300,
    )


class AppEntry(msgspec.Struct, frozen=True):
    """What one app offers."""

    name: str
    workflows: Mapping[str, Workflow]
    agents: Mapping[str, AgentDefinition]
    rules: RuleBook


class Catalogue:
    """Contracts by exact name, and what each app lets run.

    Args:
        tools: Contracts of the tool host.
        apps: The apps of this deployment.
        rules: The rule book of each app, built-in rules included, by the app's name.
    """

    def __init__(self, tools: Iterable[Contract], apps: Iterable[App], rules: Mapping[str, RuleBook]) -> None:
        self.contracts: dict[str, Contract] = {contract.ref: contract for contract in tools}
        self.apps: dict[str, AppEntry] = {}
        for app in apps:
            for ref, agent in app.agents.items():
                self.contracts[ref] = agent.contract
            self.apps[app.name] = AppEntry(app.name, app.workflows, app.agents, rules[app.name])
        self.digests: dict[str, Digest] = {ref: contract_digest(c) for ref, c in self.contracts.items()}
        self.versions: dict[str, dict[str, Contract]] = {}
        for contract in self.contracts.values():
            self.versions.setdefault(contract.name, {})[contract.version] = contract

    def app(self, name: str) -> AppEntry:
        """Find an app.

        Raises:
            NotFound: There is none of this name.
        """
        if name not in self.apps:
            raise NotFound("app", name)
        return self.apps[name]

    def agent(self, app: str, ref: str) -> AgentDefinition | None:
        """Find an agent of an app by its exact capability; None when the capability is no agent."""
        return self.app(app).agents.get(ref)

    def digest(self, ref: str) -> Digest:
        """Name the contract of an exact capability; a model's is made from its name."""
        found = self.digests.get(ref)
        if found is None:
            name = ref.removeprefix("model:").rpartition("@")[0]
            found = self.digests[ref] = contract_digest(model_contract(name))
        return found
