"""The policy compiler in a process of its own: hostile policy text can kill it, and nothing else."""

import subprocess
import sys

TIMEOUT_SECONDS = 20.0


def run_policy_compiler(request: bytes) -> bytes:
    """Run the compiler child on a request; whatever it printed until it ended is the answer."""
    argv = [sys.executable, "-I", "-m", "bailiwick.policy.compiler_child"]
    try:
        done = subprocess.run(argv, input=request, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout
