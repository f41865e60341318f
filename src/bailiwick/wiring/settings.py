"""Settings: defaults, then a TOML file, then the environment, then what the caller says; checked before the start."""

import datetime as dt
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bailiwick.base import Category, Refusal
from bailiwick.service import DAY_HOURS, LimitBook, Limits
from bailiwick.stores import Address

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Usd = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
PREFIX = "BAILIWICK_"
FIRST_STEPS = "first-steps"
_FOUR_EYES_HOURS = (1.0, 744.0)
_BOUNDS = {
    "port": (0, 65_535),
    "slots": (1, 10_000),
    "lease_seconds": (1, 86_400),
    "drain_seconds": (0, 86_400),
}
"""The least and the most of each number that could make a process that never works, never ends, or is never missed."""


class InvalidSettings(Refusal, code="invalid_settings", category=Category.INVALID):
    """A setting cannot be used."""

    reason: str
    source: str
    says = "the settings are not usable: {reason} (from {source})"
    remedy = "docs/operations.md lists the settings with their types"


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider of models that speaks OpenAI's chat dialect; the key is a reference, never a value.

    `structured_output`: native or prompted. Each of the seconds is above 0 and at most 86,400: until a connection stands,
    until the first byte of an answer, and until each further one. `repetition_chars`: how long an answer may repeat itself.
    """

    base_url: str
    api_key: str = ""
    structured_output: Literal["native", "prompted"] = "native"
    connect_seconds: Seconds = 10.0
    first_token_seconds: Seconds = 60.0
    silence_seconds: Seconds = 60.0
    repetition_chars: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 6_000


class ModelPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What tokens of a model cost, in USD per million, from `since` (a date) on; cached input like other input unless said."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    since: dt.date = dt.date(1970, 1, 1)


class EgressSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where HTTP tools may go beyond what is public.

    `internal` names sites of the deployment's own (`host`, `host:port`, or either behind `http://`), which may lie on
    private networks; `ports` are open on all others.
    """

    internal: tuple[str, ...] = ()
    ports: tuple[int, ...] = (443,)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a deployment runs.

    `store` is the URL of a PostgreSQL; empty: SQLite in the data directory. `shared_dir` holds what the processes of
    one deployment share, its keys and its blobs; empty: the data directory does.
    `prices` are the deployment's own, by a pattern of models (`openai:my-*`): one, or several with their dates.
    `default_price_usd_per_million` prices models that nobody has priced: (input, output), never zero; a model of a
    provider on this machine or a private network that nobody has priced costs nothing, and is shown as unpriced.
    `planner_required` names apps whose workflows must have a planner: `APP`, `TENANT/APP`, `TENANT/*`, or `*` for all.
    `groups` are given to the key that is made at first start. `witnesses` are shown each log's signed heads:
    addresses of servers that speak C2SP tlog-witness, or paths of files on storage that is not ours. `limits` are what
    a tenant may have at a time; `limits_of` says, by tenant, where it may have more or less.
    `app_tenants` says to which tenant an app belongs, by the app's name; without it the app says so itself, and else it
    is the deployment's own. `*` is every tenant.
    A key, role or group that the requester of a run gave within `four_eyes_hours` before the request (1 to 744), or
    since, decides nothing of it. The `profile` `first-steps` does without that, for one person who tries both sides.
    """

    data_dir: str = "~/.bailiwick"
    store: str = ""
    shared_dir: str = ""
    host: str = "127.0.0.1"
    port: int = 7080
    tenant: str = "default"
    deployment: str = "bailiwick.local"
    slots: int = 8
    lease_seconds: float = 15.0
    drain_seconds: float = 30.0
    log_level: str = "info"
    providers: dict[str, Provider] = {}
    prices: dict[str, ModelPrice | list[ModelPrice]] = {}
    default_price_usd_per_million: tuple[int, int] = (15, 75)
    groups: tuple[str, ...] = ()
    planner_required: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    egress: EgressSettings = EgressSettings()
    app_tenants: dict[str, str] = {}
    profile: str = ""
    four_eyes_hours: float = DAY_HOURS
    limits: Limits = Limits()
    limits_of: dict[str, dict[str, float]] = {}

    def __post_init__(self) -> None:
        """Hold the numbers to their bounds, also for who makes the settings without a file.

        Raises:
            ValueError: One is below, above, or no number at all.
        """
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:  # nan is not
                raise ValueError(f"`{name}` is {least} to {most:,}")

    @property
    def kept_apart_hours(self) -> float:
        """How long before a request the requester must have kept off whoever decides it; 0 in the first steps."""
        return 0.0 if self.profile == FIRST_STEPS else max(self.four_eyes_hours, _FOUR_EYES_HOURS[0])

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Name the fields for whoever shows them; a password in the store's URL is left out."""
        fields = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(self)}
        return list({**fields, "store": Address(self.store).shown if self.store else ""}.items())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Settings({shown})"

    @property
    def folder(self) -> Path:
        """The data directory, absolute: programs that are started elsewhere are handed paths below it."""
        return Path(self.data_dir).expanduser().absolute()

    @property
    def shared_folder(self) -> Path:
        """Where keys and blobs lie, absolute: below one folder for all processes of a deployment."""
        return Path(self.shared_dir).expanduser().absolute() if self.shared_dir else self.folder


def load_settings(path: Path | None = None, **given: Any) -> Settings:
    """Gather the settings.

    Args:
        path: A TOML file; `bailiwick.toml` in the current directory when it is there and None is given.
        given: What the caller says; None values are left out.

    Raises:
        InvalidSettings: A name is unknown, a value of a wrong type or out of its bounds; nothing was started.
    """
    found: dict[str, Any] = {}
    source = path if path is not None else Path("bailiwick.toml")
    if path is not None or source.is_file():
        found.update(_read(source))
    known = {field.name: field for field in msgspec.structs.fields(Settings)}
    for name in known:
        text = os.environ.get(PREFIX + name.upper())
        if text is not None:
            found[name] = _value(name, text)
    found.update({name: value for name, value in given.items() if value is not None})
    found.setdefault("providers", {}).setdefault(
        "openai",
        {
            "base_url": os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1"),
            "api_key": "env:OPENAI_API_KEY" if "OPENAI_API_KEY" in os.environ else "",
        },
    )
    try:
        settings = msgspec.convert(found, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidSettings(str(error), str(source)) from error
    if settings.profile not in ("", FIRST_STEPS):
        raise InvalidSettings(f"`profile` is {FIRST_STEPS} or empty", str(source))
    least, most = _FOUR_EYES_HOURS
    if not least <= settings.four_eyes_hours <= most:
        raise InvalidSettings(
            f"`four_eyes_hours` is {least:g} to {most:g}; none are kept in the profile {FIRST_STEPS} alone",
            str(source),
        )
    try:
        LimitBook(settings.limits, settings.limits_of)
    except ValueError as error:
        raise InvalidSettings(str(error), str(source)) from error
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidSettings(str(error), str(path)) from error


def _value(name: str, text: str) -> Any:
    if not text.startswith(("{", "[")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidSettings(f"{PREFIX}{name.upper()}: {error}", "environment") from error
