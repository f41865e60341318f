"""Floor 9: commands, which are HTTP clients wherever a server holds the data directory."""

from bailiwick.cli.entry import main

__all__ = ["main"]
