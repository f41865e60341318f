"""The hosts of tools and models: every implementation chosen, connected, and given its credentials by reference."""

import calendar
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bailiwick.app import App
from bailiwick.base import Digest, Instant
from bailiwick.budget import Price, PriceRow, PriceTable
from bailiwick.models import OpenAIHost, ProviderConfig, StructuredOutput, catalogue_price, local_price
from bailiwick.ports import Blobs, Sandbox, World
from bailiwick.sandbox import HostProcesses
from bailiwick.stores import make_folder
from bailiwick.tools import (
    Checkouts,
    Credentials,
    Egress,
    FileTools,
    GitTools,
    HttpTools,
    Redactor,
    Repositories,
    ShellTool,
    Tools,
    Workspaces,
    function_tool,
)
from bailiwick.wiring.repositories import repository_folders
from bailiwick.wiring.settings import Settings

_MICRO = 1_000_000
# Priced like a small model of today, so that budgets and reports of a scripted run look as they will.
_SCRIPTED = PriceRow("scripted:*", Instant(0), input=250_000, output=2_000_000, cached_input=25_000)


class Hosts(msgspec.Struct, frozen=True):
    """What executes dispatches."""

    tools: Tools
    models: OpenAIHost
    trees: "WorkspaceTrees"
    prices: PriceTable


class WorkspaceTrees:
    """Reads whole trees for the architect rules."""

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces

    async def files(self, tenant: str, tree: Digest) -> dict[str, bytes]:
        """Read all files of a tree, by path."""
        listed = await self._workspaces.list(tenant, tree)
        return {file.path: await self._workspaces.content(tenant, file) for file in listed}


def build_hosts(
    settings: Settings, apps: Sequence[App], *, blobs: Blobs, sandbox: Sandbox, world: World, folder: Path
) -> Hosts:
    """Connect the tools and models that the apps need.

    Args:
        settings: The deployment's settings.
        apps: Whose functions, repositories and models are served.
        blobs: Where workspaces and artifacts lie.
        sandbox: Where commands run.
        world: The clock, for prices.
        folder: For caches and scratch space; may be emptied while nothing runs.
    """
    make_folder(folder)
    redactor = Redactor()
    credentials = Credentials(os.environ, redactor)
    workspaces = Workspaces(blobs)
    repositories = repository_folders(apps, folder.parent / "repositories")
    owners = {name: app.name for app in apps for name in app.repositories}
    opened = Repositories(repositories, HostProcesses(), folder / "git", owners=owners)
    git = GitTools(opened, workspaces, blobs)
    shell = ShellTool(workspaces, Checkouts(workspaces, folder / "checkouts"), sandbox)
    own = [
        function_tool(
            tool.function,
            name=tool.name,
            version=tool.version,
            effect=tool.effect,
            vault=credentials,
            **tool.options,
        )
        for app in apps
        for tool in app.tools
    ]
    egress = Egress(internal=settings.egress.internal, ports=settings.egress.ports)
    web = [
        tool
        for app in apps
        for access in app.accesses
        for tool in HttpTools(access, egress, credentials=credentials, redactor=redactor, blobs=blobs).tools()
    ]
    offered = (*FileTools(workspaces).tools(), *git.tools(), *shell.tools(), *web, *own)
    prices = build_prices(settings)

    def price_of(model: str) -> Price:
        return prices.price(model, Instant(world.now()))

    def resolve_key(reference: str) -> str:
        return credentials.resolve(reference, allowed=(reference,)).reveal()

    return Hosts(
        tools=Tools(offered, blobs=blobs, redactor=redactor),
        models=OpenAIHost(build_providers(settings, apps), resolve_key, price_of),
        trees=WorkspaceTrees(workspaces),
        prices=prices,
    )


def build_prices(settings: Settings) -> PriceTable:
    """Make the price table: the deployment's rows, the catalogue, servers of one's own, a default that is never zero."""
    given, made = settings.default_price_usd_per_million
    rows = [
        PriceRow(
            pattern,
            Instant(calendar.timegm(price.since.timetuple()) * _MICRO),
            input=round(price.input * _MICRO),
            output=round(price.output * _MICRO),
            cached_input=None if price.cached_input is None else round(price.cached_input * _MICRO),
        )
        for pattern, priced in settings.prices.items()
        for price in (priced if isinstance(priced, list) else [priced])
    ]
    own = {name: local_price(provider.base_url) for name, provider in settings.providers.items()}

    def lookup(model: str, at: Instant, input_tokens: int) -> Price | None:
        return catalogue_price(model, at, input_tokens) or own.get(model.partition(":")[0])

    default = Price(input=given * _MICRO, output=made * _MICRO, cached_input=given * _MICRO)
    return PriceTable((_SCRIPTED, *rows), default, lookup)


def build_providers(settings: Settings, apps: Sequence[App]) -> list[ProviderConfig]:
    """List the providers with the models that agents name."""
    wanted = sorted({agent.model for app in apps for agent in app.agents.values() if agent.model})
    providers: list[ProviderConfig] = []
    for name, provider in settings.providers.items():
        models = tuple(model.partition(":")[2] for model in wanted if model.partition(":")[0] == name)
        providers.append(
            ProviderConfig(
                name=name,
                base_url=provider.base_url,
                models=models,
                api_key_ref=provider.api_key,
                structured_output=StructuredOutput(provider.structured_output),
                connect_seconds=provider.connect_seconds,
                first_token_seconds=provider.first_token_seconds,
                silence_seconds=provider.silence_seconds,
                repetition_chars=provider.repetition_chars,
            )
        )
    return providers
