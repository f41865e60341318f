"""Adds runs of this release to the corpus: `python tests/replay/corpus_renew.py`; what is there is never changed."""

import asyncio
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import msgspec
from corpus_stories import STORIES, the_shop

from bailiwick.base import canonical
from bailiwick.policy import build_bundle, stacked
from bailiwick.wiring.compiler import run_policy_compiler
from platform_kit import System
from shop_kit import POLICIES

CORPUS = Path(__file__).parent / "corpus"


async def told(name: str, release: str) -> bytes:
    """Let the platform live through a story, and write down the run."""
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder), build_bundle(stacked(POLICIES), run_policy_compiler), the_shop())
        await system.open()
        run = await STORIES[name](system)
        (transcript,) = [each for each in await system.transcripts() if each.head.id == run]
        await system.close()
        return canonical(msgspec.to_builtins(msgspec.structs.replace(transcript, release=release)))


def main() -> None:
    """Write the stories that this release has not told yet."""
    release = version("bailiwick")
    for name in STORIES:
        path = CORPUS / f"{release}-{name}.json"
        if not path.exists():
            path.write_bytes(asyncio.run(told(name, release)))


if __name__ == "__main__":
    main()
