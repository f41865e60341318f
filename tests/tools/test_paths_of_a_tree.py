"""No path leads out of a tree, into git's folder, or past the eyes of a reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.tools import BadPath, check_path
from bailiwick.tools.paths import check_layout

HOSTILE = [
    "", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "//a",
    ".git", ".git/config", "a/.git/hooks/pre-commit", ".GIT/config", ".Git", "a/.gIt", ".git.", ".git ", ".git. .", ".git::$INDEX_ALLOCATION",
    ".git:x", "git~1", "GIT~1/config", ".g\u200cit/config", "\uff0egit/config", ".g\u0131t\u200b",
    "a\0b", "a\nb", "a\tb", "a\x7fb", "a\x1bb", "a\\b", "..\\x", "c:/windows", "C:x",
    "e\u0301.txt", "a\u202egpj.exe", "a\u2066b", "a\ufeffb", "a\u2028b", "\ud800", "x" * 256, "\u00e9" * 128, "/".join("a" * 40), "a/" * 600 + "b",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_a_hostile_path_is_refused_with_a_remedy(path: str) -> None:
    with pytest.raises(BadPath) as refusal:
        check_path(path)
    assert refusal.value.code == "bad_path"
    assert refusal.value.remedy
    assert refusal.value.message.isascii()


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "src/app.py",
        ".gitignore",
        ".github/workflows/ci.yml",
        "a b/c",
        'say "hi".md',
        "\u00e9t\u00e9/\u65e5\u672c.txt",
        "a...b",
        "...",
        "-x",
        "git",
        "x.git/y",
    ],
    ids=ascii,
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    assert check_path(path) == path


@given(st.lists(st.sampled_from([".", "..", ".git", "a", "", "\u200d", "\\", "/"]), max_size=5).map("/".join))
def test_what_is_taken_stays_below_its_folder(path: str) -> None:
    try:
        check_path(path)
    except BadPath:
        return
    assert not path.startswith("/")
    assert not {"..", ".", "", ".git"} & set(path.split("/"))


def test_a_file_is_not_also_a_folder() -> None:
    check_layout(["a/b", "a/c", "ab"])
    with pytest.raises(BadPath):
        check_layout(["a/b/c", "a/b"])
