"""What is judged is the broken copy: a small tree whose code stands nowhere else, half of it tested."""

from pathlib import Path

import pytest

from bailiwick.testing.mutation.equivalents import EQUIVALENT_IN_THE_KERNEL
from bailiwick.testing.mutation.kernel import _score, score_kernel

TREE = {
    "pyproject.toml": "",
    "src/bailiwick/__init__.py": "",
    "src/bailiwick/budget/__init__.py": "",
    "src/bailiwick/budget/odd.py": (
        "def counted(a: int) -> int:\n    return a + 1\n\n\ndef uncounted(a: int) -> int:\n    return a + 2\n"
    ),
    "tests/budget/test_odd.py": (
        "from bailiwick.budget.odd import counted, uncounted\n\n\n"
        "def test_it_counts_on() -> None:\n    assert counted(1) == 2\n    uncounted(1)\n"
    ),
}
FILES = ["src/bailiwick/budget/odd.py"]


@pytest.fixture(autouse=True)
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)


def test_a_mutant_is_killed_by_the_tests_of_its_copy_and_lives_where_there_are_none() -> None:
    score = score_kernel(FILES, lambda names: (names[0], names[-1]))
    assert score.killed == 1
    assert {name.split("x_")[1].partition("__")[0] for name in score.alive} == {"uncounted"}
    assert (score.judged, score.unjudged) == (score.killed + len(score.alive), ())
    assert any("-    return a + 2" in change for change in score.alive.values())


def test_a_copy_whose_tests_fail_without_a_mutant_is_no_judge() -> None:
    test = Path("tests/budget/test_odd.py")
    test.write_text(test.read_text("utf-8").replace("== 2", "== 3"), "utf-8")
    with pytest.raises(RuntimeError, match="mutmut stopped"):
        score_kernel(FILES, lambda names: names)


def test_an_equivalent_is_known_by_what_it_puts_and_not_by_its_number() -> None:
    (function, put), reason = next(iter(EQUIVALENT_IN_THE_KERNEL.items()))
    changes = {f"{function}__mutmut_1": f"-    x\n+    {put}", f"{function}__mutmut_2": "-    x\n+    other"}
    score = _score(dict.fromkeys(changes, "survived") | {"a.x_b__mutmut_3": "killed"}, changes.__getitem__)
    assert (score.judged, score.killed) == (2, 1)
    assert score.equivalent == {f"{function}__mutmut_1": reason}
    assert list(score.alive) == [f"{function}__mutmut_2"]
