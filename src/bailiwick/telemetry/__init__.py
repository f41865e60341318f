"""Floor 6: metrics and logs: what is counted, measured ports that count it, and lines that machines can read."""

from bailiwick.telemetry.logs import LEVELS, configure_logging
from bailiwick.telemetry.measured import MeasuredLedger, MeasuredPort
from bailiwick.telemetry.metrics import Depths, Metrics

__all__ = ["LEVELS", "Depths", "MeasuredLedger", "MeasuredPort", "Metrics", "configure_logging"]
