"""Beside a PostgreSQL a lost admin key is made anew while servers go on, and they hear of it."""

import asyncio
from pathlib import Path

from bailiwick.policy import Role
from bailiwick.service import Unauthenticated
from bailiwick.wiring import Settings, embedded
from bailiwick.wiring.recovering import recover_admin
from postgres_kit import lent_database


async def test_a_recovered_admin_is_heard_by_servers_that_run(tmp_path: Path) -> None:
    with lent_database() as url:
        settings = Settings(data_dir=str(tmp_path / "one"), store=url, shared_dir=str(tmp_path / "shared"))
        async with embedded(settings, []) as system:
            keyring = system.platform.keyring
            other = Settings(data_dir=str(tmp_path / "two"), store=url, shared_dir=str(tmp_path / "shared"))
            held, secret = await recover_admin(other, "default")
            async with asyncio.timeout(20):
                while True:
                    try:
                        who = keyring.authenticate(secret)
                        break
                    except Unauthenticated:
                        await keyring.load()
            assert (who.id, who.role, who.key) == (held.identity.id, Role.ADMIN, held.key.id)
            assert who.name.startswith("recovered-")
