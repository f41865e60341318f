"""A passed review attests exactly the digest that it looked at, and git.apply goes nowhere without it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bailiwick.app import Context
from bailiwick.contract import ErrorCategory
from bailiwick.run import Status
from platform_kit import ALICE, BOB, System, decide_seen
from shop_kit import Shop

pytestmark = pytest.mark.postgres_when_long

CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    argv = ["git", *who, *arguments]
    return subprocess.run(argv, cwd=folder, env=CLEAN, capture_output=True, check=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "service"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "app.py").write_text("x = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


def step(id: str, uses: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "uses": uses, "input": {}, **fields}


def delivery(shop: Shop, *, verdict: str, applied: str = "diff") -> None:
    async def clerk(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        await ctx.tool("files.write", {"path": "app.py", "text": f"x = {ctx.step!r}\n"})
        return {}

    async def reviewer(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
        return {"verdict": verdict, "findings": []}

    shop.scripts["clerk"] = clerk
    shop.app.agent("reviewer", output={"verdict": str, "findings": [str]}, run=reviewer)
    base = "$.context.repo.tree"
    shop.workflow(
        step("build", "clerk"),
        step("diff", "git.diff", input={"base": base}),
        step("review", "reviewer", reviews="$.steps.diff.output.patch"),
        step("again", "clerk"),
        step("other", "git.diff", input={"base": base}),
        step(
            "apply",
            "git.apply",
            input={
                "repository": "service",
                "base": "$.context.repo.base",
                "patch": f"$.steps.{applied}.output.patch",
                "branch": "agents/x",
                "message": "Change x",
            },
        ),
        context=[{"id": "repo", "uses": "git.snapshot", "input": {"repository": "service"}}],
    )


async def test_the_reviewed_diff_is_held_approved_and_lands_once(
    shop: Shop, open_system, repository: Path
) -> None:
    delivery(shop, verdict="pass")
    system: System = await open_system(shop, repositories={"service": repository})
    system.work()
    run = await system.submit()
    await system.status(run, Status.WAITING_FOR_APPROVAL)
    state = await system.run(run)
    patch = (await system.platform.reading.output(ALICE, run, "diff"))["patch"]
    assert state.reviewed == (patch,)
    approval = await system.approval(run)
    view = await system.platform.approving.show(BOB, approval.id)
    assert "+x = 'build'" in view.artifacts["patch"]
    await decide_seen(system.platform, BOB, approval.id, approve=True)
    assert (await system.ended(run)).status is Status.COMPLETED
    assert git(repository, "rev-list", "--count", "main..agents/x").strip() == "1"
    assert git(repository, "show", "agents/x:app.py") == "x = 'build'\n"


@pytest.mark.parametrize(("verdict", "applied"), [("send-back", "diff"), ("pass", "other"), ("Pass", "diff")])
async def test_what_was_not_passed_is_denied(
    shop: Shop, open_system, repository: Path, verdict: str, applied: str
) -> None:
    delivery(shop, verdict=verdict, applied=applied)
    system: System = await open_system(shop, repositories={"service": repository})
    system.work()
    run = await system.submit()
    failed = await system.ended(run)
    assert (failed.status, failed.category) == (Status.FAILED, ErrorCategory.DENIED)
    assert "needs a passed review of exactly this diff" in failed.reason
    assert "agents/x" not in git(repository, "branch", "--list", "--all")
