"""The second identity: whoever asks for an action cannot approve it, so a local system gets a reviewer's key too."""

from pathlib import Path

from bailiwick.policy import Role
from bailiwick.service import Unauthenticated
from bailiwick.stores import write_private
from bailiwick.wiring import Embedded

APPROVER = "approver"
REVIEWER = "reviewer"


def approver_groups(system: Embedded) -> tuple[str, ...]:
    """Name every group that a rule of the policy in force may ask."""
    holds = [rule.hold for rule in system.platform.bundle.rules.values() if rule.hold is not None]
    asked = {name for hold in holds for name in (hold.group, hold.escalate_to) if name}
    return tuple(sorted(asked | set(system.settings.groups)))


async def second_identity(system: Embedded) -> Path:
    """Find or make the key of `reviewer`, who may approve and do nothing else.

    Returns:
        The file `approver.key` in the data directory, readable by its owner alone.
    """
    path = system.settings.folder / f"{APPROVER}.key"
    groups = approver_groups(system)
    keyring = system.platform.keyring
    if path.is_file():
        try:
            principal = keyring.authenticate(path.read_text("utf-8").strip())
        except Unauthenticated:
            pass  # it was revoked, or is of other data: make another
        else:
            if set(groups) <= set(principal.groups):
                return path
    _, secret = await keyring.issue(
        system.settings.tenant, name=REVIEWER, role=Role.APPROVER, groups=groups, by="platform"
    )
    write_private(path, f"{secret}\n".encode())
    return path
