"""The compiler's own process: `python -I -m bailiwick.policy.compiler_child`, a bundle in, a report out."""

import sys

from bailiwick.policy.compile import answer


def main() -> None:
    """Read the files as JSON from standard input and write the report to standard output."""
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
