"""A patch that we write is one that the real git applies to the same files, and our own parser to the same bytes."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tools_kit import TENANT, git, run, store

from bailiwick.tools import Workspaces, parse_patch
from bailiwick.tools.differ import Change, changes, split_lines
from bailiwick.tools.patch import NotText, apply_to, compare, render
from bailiwick.tools.quoting import quote_path, unquote_path

lines = st.sampled_from(
    [
        "a",
        "b",
        "",
        "c\r",
        "\r",
        "-- a/x",
        "++ b/x",
        "@@ -1 +1 @@",
        "\\ No newline at end of file",
        "diff --git a/x b/x",
        " ",
        "\u2028\u00e9\x0c\x85",
    ]
)
texts = st.builds(
    lambda parts, end: ("\n".join(parts) + end).encode(),
    st.lists(lines, max_size=24),
    st.sampled_from(["", "\n"]),
)
names = st.sampled_from(["a", "x y.txt", "d/\u00e9\u65e5.py", 'quo"te', "d/e/f", "-dash", "tab end "])
trees = st.dictionaries(names, texts, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, trees)
@example({"a": b"1\n2"}, {"a": b"1\n2\n"})
@example({"a": b""}, {"d/e/f": b""})
@example({"x y.txt": b"1\n"}, {"x y.txt": b""})
def test_git_applies_the_patch_between_any_two_trees(
    workspaces: Workspaces, before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    async def patch_of() -> tuple[bytes, bytes]:
        old, new = await store(workspaces, before), await store(workspaces, after)
        return await workspaces.diff(TENANT, old, new), await workspaces.diff(TENANT, old, new)

    patch, again = run(patch_of())
    assert patch == again
    assert (patch == b"") == (before == after)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, body in before.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        if patch:
            git(folder, "apply", "-", stdin=patch)
        found = {
            str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()
        }
    assert found == after
    ours = dict(before)
    for file in parse_patch(patch) if patch else []:
        body = apply_to(file, ours.pop(file.path, None))
        if body is not None:
            ours[file.path] = body
    assert ours == after


@given(texts, texts)
def test_a_rendered_patch_is_parsed_to_what_was_rendered(old: bytes, new: bytes) -> None:
    for before, after in ((old, new), (None, new), (old, None)):
        file = compare(
            "a b",
            None if before is None else ("100644", before),
            None if after is None else ("100644", after),
        )
        if before != after:
            assert parse_patch(render([file])) == [file]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees.filter(bool), trees.filter(bool))
def test_we_read_the_patches_that_git_writes(
    tmp_path: Path, before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "-q")
        ids = []
        for files in (before, after):
            entries = []
            for path, body in files.items():
                blob = git(folder, "hash-object", "-w", "--stdin", stdin=body).decode().strip()
                entries.append(f"100644 {blob}\t{path}\0")
            git(folder, "read-tree", "--empty")
            git(folder, "update-index", "-z", "--index-info", stdin="".join(entries).encode())
            ids.append(git(folder, "write-tree").decode().strip())
        patch = git(folder, "diff-tree", "-r", "-p", "--no-renames", "--text", *ids)
    ours = dict(before)
    for file in parse_patch(patch) if patch else []:
        body = apply_to(file, ours.pop(file.path, None))
        if body is not None:
            ours[file.path] = body
    assert ours == after


@given(
    st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n"]), max_size=12),
    st.lists(st.sampled_from([b"a\n", b"b\n", b"d\n"]), max_size=12),
)
def test_changes_lead_from_the_old_lines_to_the_new(old: list[bytes], new: list[bytes]) -> None:
    built: list[bytes] = []
    at = 0
    for change in changes(old, new):
        assert old[change.old_start : change.old_end] != new[change.new_start : change.new_end]
        built += old[at : change.old_start] + new[change.new_start : change.new_end]
        at = change.old_end
    assert built + old[at:] == new


def test_only_the_changed_line_is_a_change() -> None:
    old = [b"%d\n" % number for number in range(1000)]
    new = [*old[:500], b"new\n", *old[501:]]
    assert changes(old, new) == [Change(500, 501, 500, 501)]


def test_two_long_unlike_texts_are_one_change_and_cost_little() -> None:
    old = [b"%d\n" % (number * 7919 % 50) for number in range(20_000)]
    new = [b"%d\n" % (number * 104_729 % 49) for number in range(20_000)]
    assert len(changes([b"head\n", *old], [b"head\n", *new])) == 1


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=12))
def test_a_quoted_path_is_read_back(path: str) -> None:
    if not (path.startswith('"') and path.endswith('"')):
        assert unquote_path(quote_path(path)) == path


@pytest.mark.parametrize(
    "text", [b'"a', b'a"', b'"\\x"', b'"\\8"', b'"\\400"', b'"a"b"', b'"\\', b"\xff", b'"\\377"']
)
def test_a_badly_quoted_path_is_no_path(text: bytes) -> None:
    assert unquote_path(text) is None


@pytest.mark.parametrize("body", [b"\0", b"\xff\xfe"])
async def test_a_changed_binary_file_is_named_not_shown(workspaces: Workspaces, body: bytes) -> None:
    before, after = await store(workspaces, {"a": b"1"}), await store(workspaces, {"a": body})
    with pytest.raises(NotText):
        await workspaces.diff(TENANT, before, after)
    with_it = await workspaces.write(TENANT, after, {"b": b"text\n"})
    assert b"+text" in await workspaces.diff(TENANT, after, with_it)


def test_lines_end_at_line_feeds_only() -> None:
    assert split_lines(b"a\rb\x0c\r\nc") == [b"a\rb\x0c\r\n", b"c"]
    assert split_lines(b"") == []
