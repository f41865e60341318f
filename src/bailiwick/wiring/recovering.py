"""Recovering: a new admin key, made on the host by whoever may read the deployment's own keys."""

from bailiwick.policy import Role
from bailiwick.service import Held, Keyring, NotFound
from bailiwick.wiring.clocks import learn, new_clock
from bailiwick.wiring.embedded import open_ledger
from bailiwick.wiring.settings import Settings
from bailiwick.wiring.trust import keys_of_ledger
from bailiwick.wiring.world import SystemWorld


async def recover_admin(settings: Settings, tenant: str) -> tuple[Held, str]:
    """Make an admin identity with a key that never expires; answer it and the secret, which is kept nowhere.

    Raises:
        DataDirInUse: A server holds the data directory.
        NotFound: There is no data, or no such tenant.
    """
    if not (settings.shared_folder / "keys").is_dir():
        raise NotFound("data directory", str(settings.shared_folder))
    store = open_ledger(settings)
    try:
        await store.begin([])
        keys = await keys_of_ledger(settings, store)
        clock = new_clock()
        await learn(clock, store)
        world = SystemWorld(clock)
        if all(known.id != tenant for known in await store.views.tenants()):
            raise NotFound("tenant", tenant)
        ring = Keyring(
            ledger=store.ledger,
            views=store.views,
            world=world,
            pepper=keys.pepper,
            operators=settings.tenant,
        )
        name = f"recovered-{world.new_id('idn')[-12:].lower()}"
        return await ring.issue(tenant, name=name, role=Role.ADMIN, groups=settings.groups, by="recover")
    finally:
        await store.end()
