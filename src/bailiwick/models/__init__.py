"""Floor 6: model providers: streaming, usage, prices and the response monitor. Importing it is cheap."""

from bailiwick.models.config import ProviderConfig, StructuredOutput
from bailiwick.models.host import KeyResolver, OpenAIHost
from bailiwick.models.monitor import (
    ForbiddenContent,
    Interrupted,
    Interruption,
    MonitorRules,
    ResponseMonitor,
)
from bailiwick.models.prefix import Misfit, SchemaPrefix
from bailiwick.models.prices import catalogue_price, local_price

__all__ = [
    "ForbiddenContent",
    "Interrupted",
    "Interruption",
    "KeyResolver",
    "Misfit",
    "MonitorRules",
    "OpenAIHost",
    "ProviderConfig",
    "ResponseMonitor",
    "SchemaPrefix",
    "StructuredOutput",
    "catalogue_price",
    "local_price",
]
