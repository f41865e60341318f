"""Floor 6: the only room that starts foreign code, contained, and trusted programs for rooms that may not."""

from bailiwick.sandbox.bubblewrap import BubblewrapSandbox
from bailiwick.sandbox.process import HostProcesses
from bailiwick.sandbox.runtime import default_cache_dir

__all__ = ["BubblewrapSandbox", "HostProcesses", "default_cache_dir"]
