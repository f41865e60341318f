"""Floor 7: settings, and the one place where adapters are chosen and connected."""

from bailiwick.wiring.embedded import Embedded, build, embedded
from bailiwick.wiring.settings import InvalidSettings, Provider, Settings, load_settings
from bailiwick.wiring.world import SystemWorld

__all__ = [
    "Embedded",
    "InvalidSettings",
    "Provider",
    "Settings",
    "SystemWorld",
    "build",
    "embedded",
    "load_settings",
]
