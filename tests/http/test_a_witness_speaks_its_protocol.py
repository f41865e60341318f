"""A witness answers with the statuses and the media type that its protocol (C2SP tlog-witness) names, to the letter."""

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.audit import (
    COSIGNATURE,
    Checkpoint,
    Growth,
    HistoryRewritten,
    WitnessBehind,
    parse_verifier_key,
    verifier_key,
    write_growth,
)
from bailiwick.http.witness import Cosigner, create_witness

WITNESS = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
KEY = parse_verifier_key(verifier_key("witness.test", WITNESS.public_key().public_bytes_raw(), COSIGNATURE))


class Remembers:
    """Has seen a log of 7 leaves."""

    def keep(self, origin: str, growth: Growth) -> Checkpoint:
        size = int(growth.note.split("\n")[1])
        if growth.old != 7:
            raise WitnessBehind(seen=7, assumed=growth.old)
        if size != 9:
            raise HistoryRewritten(origin=origin, seen=7, size=size)
        return Checkpoint(origin, size, b"")


@pytest.mark.parametrize(
    ("old", "size", "status", "kind"),
    [
        (7, 9, 200, "text/plain; charset=utf-8"),
        (3, 9, 409, "text/x.tlog.size"),
        (7, 8, 422, "text/plain; charset=utf-8"),
        (7, 6, 400, "text/plain; charset=utf-8"),
    ],
)
async def test_each_answer_is_the_one_that_the_protocol_names(old, size, status, kind):
    app = create_witness({"log.test": Remembers()}, Cosigner(KEY, WITNESS.sign))
    body = write_growth(Growth(old, (), f"log.test\n{size}\nroot\n\n\u2014 log.test x\n"))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://witness.test"
    ) as client:
        answer = await client.post("/add-checkpoint", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    if status == 409:
        assert answer.text == "7\n"
