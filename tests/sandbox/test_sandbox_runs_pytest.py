"""The main job: the tests of a small FastAPI service run inside, with their true verdict."""

from pathlib import Path

import pytest

from bailiwick.ports import SandboxJob, SandboxResult, Stop

APP = """
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()

class Health(BaseModel):
    status: str

@app.get("/health")
async def health() -> Health:
    return Health(status="ok")
"""

TEST = """
from fastapi.testclient import TestClient
from app import app

def test_health():
    answer = TestClient(app).get("/health")
    assert answer.json() == {"status": "%s"}
"""


async def run_pytest(sandbox, tree: Path, *argv: str) -> SandboxResult:
    job = SandboxJob(argv=argv, files=tree)
    return await sandbox.run(job, lambda _: None, Stop())


@pytest.mark.parametrize(("expected", "code"), [("ok", 0), ("broken", 1)], ids=["green", "red"])
async def test_a_service_is_tested(sandbox, tmp_path: Path, expected: str, code: int) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_app.py").write_text(TEST % expected)
    result = await run_pytest(sandbox, tmp_path, "python", "-m", "pytest", "-q")
    assert (result.ended_by, result.exit_code) == ("exit", code), result.output
    assert ("1 passed" if code == 0 else "AssertionError") in result.output
    assert not (tmp_path / ".pytest_cache").exists()


async def test_pytest_is_a_command_too_and_reports_that_there_is_nothing(sandbox, tmp_path: Path) -> None:
    result = await run_pytest(sandbox, tmp_path, "pytest", "--version")
    assert result.output.startswith("pytest ")
    assert (await run_pytest(sandbox, tmp_path, "pytest")).exit_code == 5


async def test_only_what_was_staged_can_be_imported(sandbox, tmp_path: Path) -> None:
    result = await run_pytest(sandbox, tmp_path, "python", "-c", "import bailiwick")
    assert "ModuleNotFoundError" in result.output
