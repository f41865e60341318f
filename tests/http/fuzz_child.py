"""A process that feeds each parser, in a fork of its own, what a coverage-guided fuzzer thinks of."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["bailiwick"]):
    from hostile_corpus import BODIES
    from parsers_kit import PARSERS

    from bailiwick.base import Refusal


def fuzz(parse: Callable[[bytes], object], arguments: list[str]) -> None:
    """Feed one parser; the process ends with it, and badly if anything else than a refusal is raised."""

    def feed(data: bytes) -> None:
        try:
            parse(data)
        except Refusal as refusal:
            assert refusal.code
            assert refusal.remedy

    atheris.Setup(arguments, feed)
    atheris.Fuzz()


def main(place: Path, limits: list[str]) -> int:
    bad = 0
    for number, (name, (parse, good)) in enumerate(PARSERS.items()):
        folder = place / str(number)
        folder.mkdir()
        (folder / "good").write_bytes(good.encode())
        for nth, body in enumerate(body for body in BODIES.values() if len(body) < 1_000):
            (folder / f"hostile-{nth}").write_bytes(body)
        sys.stderr.write(f"parser {name}\n")
        sys.stderr.flush()
        child = os.fork()
        if not child:
            fuzz(parse, [sys.argv[0], str(folder), f"-artifact_prefix={folder}/found-", *limits])
        bad += os.waitpid(child, 0)[1] != 0
    return bad


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
