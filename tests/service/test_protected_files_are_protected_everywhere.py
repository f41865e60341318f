"""What a run may not change it may not write either: the standing prohibitions bite at the first write, on both stores."""

import pytest

from bailiwick.contract import ErrorCategory
from bailiwick.ports import Dispatch, Recorded
from platform_kit import Hand

PROTECTED = {
    ".github/workflows/x.yml": "runs do not change CI/CD pipelines",
    ".GitHub/Workflows/x.yml": "runs do not change CI/CD pipelines",
    ".\uff47ithub/workflows/x.yml": "runs do not change CI/CD pipelines",
    "sub/../.github/x": "a changed path has no single, plain meaning",
    "policies/own.cedar": "runs do not change policies",
    "prompts/system.md": "runs do not change prompts",
    "AGENTS.md": "runs do not change agents",
    "terraform/main.tf": "runs do not change what is deployed to production",
}


@pytest.mark.parametrize("path", PROTECTED)
async def test_a_protected_file_is_not_even_written_in_the_workspace(path: str, started: Hand) -> None:
    answer = await started.act("files:", capability="files.write", arguments={"path": path, "text": "x"})
    assert isinstance(answer, Recorded), answer
    assert (answer.state, answer.category) == ("refused", ErrorCategory.DENIED)
    assert PROTECTED[path] in answer.reason


async def test_a_plain_file_is_written(started: Hand) -> None:
    arguments = {"path": "app/main.py", "text": "x"}
    answer = await started.act("files:", capability="files.write", arguments=arguments)
    assert isinstance(answer, Dispatch)
