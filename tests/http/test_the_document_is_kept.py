"""The API does what its OpenAPI document says: schemathesis asks in every way it knows, with a fixed seed."""

import asyncio
import os
import re
import sys

import pytest
from http_house import House, served

from figures import tell

pytestmark = pytest.mark.postgres_when_long

LONG = bool(os.environ.get("BAILIWICK_LONG"))
EXAMPLES = 120 if LONG else 2
SEED = 20_260_101


async def test_schemathesis_finds_no_answer_that_the_document_does_not_name(house: House, tmp_path) -> None:
    run = await house.submit()
    await house.ended(run)
    async with served(house.app) as port:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "all",
            "--exclude-checks", "positive_data_acceptance",  # a 422 also refuses what no schema can say
            "-H", f"Authorization: Bearer {house.keys['admin']}", "--max-examples", str(EXAMPLES), "--seed", str(SEED),
            "--phases", "examples,coverage,fuzzing", "--generation-deterministic",
            "--no-color", "--request-timeout", "10", "--suppress-health-check", "all",
        ]  # fmt: skip
        pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, **pipes)
        said, _ = await process.communicate()
    text = said.decode()
    assert process.returncode == 0, text[-30_000:]
    cases = re.search(r"(\d[\d,]*) generated", text)
    assert cases is not None, text[-3_000:]
    tell(f"{cases[1]} requests made of the document")
    assert int(cases[1].replace(",", "")) >= 300 * (10 if LONG else 1), text[-3_000:]
