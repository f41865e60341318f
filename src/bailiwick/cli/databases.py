"""`bailiwick db`: the schema of a PostgreSQL; servers bring it up to date by themselves when they start."""

import asyncio
from typing import Annotated

import typer

from bailiwick.cli.showing import say
from bailiwick.stores import Address, SchemaTooNew, is_postgres, migrate_schema, schema_status
from bailiwick.wiring import load_settings

group = typer.Typer(
    help="Look at a PostgreSQL's schema, and bring it up to date.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Store = Annotated[
    str | None, typer.Option(help="The database, postgres://... (BAILIWICK_STORE, or the settings file).")
]


@group.command()
def status(store: Store = None) -> None:
    """Show which schema the database has; refuse one that is newer than this program."""
    address = _address(store)
    found, newest = asyncio.run(schema_status(address))
    if found > newest:
        raise SchemaTooNew(found=found, known=newest)
    state = "up to date" if found == newest else f"behind; `bailiwick db migrate` brings it to {newest}"
    say(f"{address.shown}: schema {found}, {state}")


@group.command()
def migrate(store: Store = None) -> None:
    """Bring the database to the newest schema that this program knows; again changes nothing."""
    address = _address(store)
    say(f"{address.shown}: schema {asyncio.run(migrate_schema(address))}")


def postgres_in(store: str | None) -> str:
    """Tell the URL of the PostgreSQL that the flag or the settings name; empty when they name none."""
    named = load_settings(store=store).store
    if named and not is_postgres(named):
        raise _no_postgres()
    return named


def _address(store: str | None) -> Address:
    named = postgres_in(store)
    if not named:
        raise _no_postgres()
    return Address(named)


def _no_postgres() -> typer.BadParameter:
    return typer.BadParameter(
        "name a PostgreSQL, postgres://USER@HOST/DATABASE; SQLite migrates itself", param_hint="--store"
    )
