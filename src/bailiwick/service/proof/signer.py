"""The signer: the deployment's signing key, held elsewhere, as those see it who sign and check heads."""

from collections.abc import Callable

import msgspec

from bailiwick.audit import linked, notes_in, verifier_key


class Signer(msgspec.Struct, frozen=True):
    """The deployment's signing key, held elsewhere: its name, its public half, and a way to use it.

    `rotations` are the statements that link it to the keys before it, one signed note below the other.
    """

    name: str
    public: bytes
    sign: Callable[[bytes], bytes]
    rotations: str = ""

    @property
    def vkey(self) -> str:
        """The verifier key that auditors are handed."""
        return verifier_key(self.name, self.public)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """This key and those before it."""
        return linked([self.vkey], notes_in(self.rotations))

    def vkeys_of(self, log: str, note: str) -> tuple[str, ...]:
        """This key and those before it, under the name that the deployment had when the note was signed."""
        name = note.partition("\n")[0].removesuffix(f"/{log}")
        if name == self.name or not name or any(sign.isspace() or sign == "+" for sign in name):
            return self.vkeys
        return linked([verifier_key(name, self.public)], notes_in(self.rotations))
