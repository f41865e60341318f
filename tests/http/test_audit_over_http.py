"""Audit over HTTP: a checkpoint, proofs and an export that stand without us; artifacts that nothing executes."""

import io
import subprocess
import sys
import tarfile

import msgspec
from http_house import assert_problem

from bailiwick.audit import InclusionProof, ProofInvalid, verify_proof


async def test_every_event_of_a_run_is_provable(house):
    run = await house.submit()
    await house.ended(run)
    async with house.client("viewer") as client:
        events = (await client.get(f"/v1/runs/{run}/events")).json()["events"]
        for event in events:
            answer = (await client.get("/v1/audit/proof", params={"event": event["id"]})).json()
            proof = msgspec.convert(answer["proof"], InclusionProof)
            assert verify_proof(proof, [answer["verifier_key"]]).size == proof.size
        forged = msgspec.structs.replace(proof, header=proof.header.replace("completed", "failed___"))
        try:
            verify_proof(forged, [answer["verifier_key"]])
        except ProofInvalid:
            pass
        else:
            raise AssertionError("a forged header was proven")
        checkpoint = (await client.get("/v1/audit/checkpoint")).json()
        assert checkpoint["size"] >= len(events)
        assert checkpoint["note"].startswith(checkpoint["verifier_key"].split("+")[0])
        missing = await client.get("/v1/audit/proof", params={"event": f"{run}.999"})
        assert_problem(missing, 404, "not_found")
        for wrong in ("", run, f"{run}.0", f"{run}.-1", f"{run}.1e3", ".1", "a b.1"):
            answer = await client.get("/v1/audit/proof", params={"event": wrong})
            assert_problem(answer, 422, "invalid_parameter")


async def test_the_export_verifies_itself_and_convicts_one_changed_byte(house, tmp_path):
    run = await house.submit()
    await house.ended(run)
    async with house.client("viewer") as client:
        answer = await client.get("/v1/audit/export")
    assert answer.headers["content-type"] == "application/x-tar"
    assert answer.headers["content-disposition"] == 'attachment; filename="bailiwick-audit.tar"'
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "bailiwick-audit"
    verify = [sys.executable, "-I", str(folder / "verify.py"), str(folder)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    entries = folder / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"completed", b"completes", 1))
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert run in done.stdout + done.stderr


async def test_an_artifact_is_bytes_to_keep_and_nothing_to_show(house):
    run = await house.submit()
    async with house.client("viewer") as client:
        plan = (await client.get(f"/v1/runs/{run}")).json()["plan_digest"]
        answer = await client.get(f"/v1/artifacts/{plan}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert b'"nodes"' in answer.content
        for wrong in ("0" * 64, "x", "0" * 63 + "/", "é" * 64, plan.upper()):
            answer = await client.get(f"/v1/artifacts/{wrong}")
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
