"""What every test runs under: property tests never fail for a busy machine, and look further with `--long`."""

import os
import signal

import pytest
from hypothesis import settings

from bailiwick.telemetry import configure_logging
from figures import told

settings.register_profile("short", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5000)
settings.load_profile("long" if os.environ.get("BAILIWICK_LONG") else "short")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell makes what it starts in the background deaf to interrupts, and so all programs that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logs_stay_out_of_the_answers() -> None:
    """Without this structlog prints to standard output, where the commands under test speak."""
    configure_logging("debug")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """State what the proofs counted."""
    lines = told(terminalreporter.stats.get("passed", []))
    if lines:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in sorted(lines)))
