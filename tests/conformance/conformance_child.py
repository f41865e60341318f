"""A writer to be killed: commits without end and prints each unit once it was acknowledged."""

import asyncio
import sys
from pathlib import Path

from conformance_shapes import BLOB_KEY, draft, following, head, opening

from bailiwick.stores import Address, Store, open_postgres, open_store


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def opened(data_dir: Path, url: str) -> Store:
    if url:
        return open_postgres(Address(url), data_dir, blob_key=BLOB_KEY)
    return open_store(data_dir, blob_key=BLOB_KEY)


async def main(data_dir: str, name: str, url: str) -> None:
    store = opened(Path(data_dir), url)
    say("ready")

    async def client(run: str) -> None:
        await store.ledger.commit(opening(run, head=head(run, version=1)))
        version = 1
        while True:
            say(f"{run} {version}")
            unit = following(
                run, version, head=head(run, version=version + 1), others=(("tenant:acme", draft()),)
            )
            await store.ledger.commit(unit)
            version += 1
            if version % 7 == 0:
                await store.feed.place(50)

    await asyncio.gather(*[client(f"run_{name}_{n}") for n in range(8)])


asyncio.run(main(*sys.argv[1:]))
