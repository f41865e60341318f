"""What policy reads in a patch is what would be applied; every other reading is refused."""

import pytest

from bailiwick.tools import BadPatch, parse_patch
from bailiwick.tools.patch import PatchDoesNotFit, apply_to

GOOD = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


def new(path: bytes, mode: bytes = b"100644") -> bytes:
    return b"diff --git a/%s b/%s\nnew file mode %s\n--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+x\n" % (
        path,
        path,
        mode,
        path,
    )


BAD = {
    "nothing": b"",
    "words before": b"hello\n" + GOOD,
    "words after": GOOD + b"hello\n",
    "no last newline": GOOD[:-1],
    "names differ": GOOD.replace(b"b/x\n---", b"b/y\n---"),
    "old name differs": GOOD.replace(b"--- a/x", b"--- a/y"),
    "new name differs": GOOD.replace(b"+++ b/x", b"+++ b/y"),
    "deletes by name": GOOD.replace(b"+++ b/x", b"+++ /dev/null"),
    "no prefix": GOOD.replace(b"a/x", b"x").replace(b"b/x", b"x"),
    "one file twice": GOOD + GOOD,
    "climbs": new(b"../x"),
    "absolute": new(b"/etc/passwd"),
    "git's folder": new(b".git/hooks/post-checkout"),
    "git's folder, shouted": new(b"a/.GiT/config"),
    "git's folder, quoted": b'diff --git "a/.g\\151t/config" "b/.g\\151t/config"\nnew file mode 100644\n',
    "climbs, quoted": b'diff --git "a/\\056\\056/x" "b/\\056\\056/x"\nnew file mode 100644\n',
    "direction mark": b'diff --git "a/x\\342\\200\\256y" "b/x\\342\\200\\256y"\nnew file mode 100644\n',
    "a file below a file": new(b"a") + new(b"a/b"),
    "link": new(b"x", b"120000"),
    "submodule": new(b"x", b"160000"),
    "odd mode": new(b"x", b"100666"),
    "mode change": b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n",
    "mode change and text": GOOD.replace(b"--- a/x", b"old mode 100644\nnew mode 120000\n--- a/x"),
    "link by index line": GOOD.replace(b"--- a/x", b"index 1234567..1234567 120000\n--- a/x"),
    "rename": b"diff --git a/x b/x\nsimilarity index 100%\nrename from x\nrename to y\n",
    "rename without similarity": b"diff --git a/x b/x\nrename from x\nrename to .github/workflows/ci.yml\n",
    "rename of two names": b"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n",
    "copy": b"diff --git a/x b/x\ncopy from x\ncopy to y\n",
    "rename behind the mode": b"diff --git a/x b/x\nnew file mode 100644\nrename to y\n",
    "binary": b"diff --git a/x b/x\nindex 1111111..2222222 100644\nGIT binary patch\nliteral 1\nIcmZ\n",
    "binary note": b"diff --git a/x b/x\nindex 1111111..2222222 100644\nBinary files a/x and b/x differ\n",
    "plain patch": b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    "second header without diff": GOOD + b"--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n",
    "too few lines": GOOD.replace(b"@@ -1 +1 @@", b"@@ -1,2 +1,2 @@"),
    "too many lines": GOOD.replace(b"@@ -1 +1 @@", b"@@ -1 +0,0 @@"),
    "counts overrun": b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n a\n+b\n-c\n",
    "line zero": GOOD.replace(b"@@ -1 +1 @@", b"@@ -0 +1 @@"),
    "no change": GOOD.replace(b"-a\n+b\n", b" a\n"),
    "no hunk": b"diff --git a/x b/x\n--- a/x\n+++ b/x\n",
    "no content": b"diff --git a/x b/x\n",
    "combined": b"diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n",
    "bare blank line": b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n\n",
    "nul": new(b"x").replace(b"+x", b"+\0"),
    "not text": new(b"x").replace(b"+x", b"+\xff"),
    "huge number": GOOD.replace(b"@@ -1 +1 @@", b"@@ -1,99999999999999 +1 @@"),
}  # fmt: skip


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_patch_with_two_readings_is_refused_with_its_line(body: bytes) -> None:
    with pytest.raises(BadPatch) as refusal:
        parse_patch(body)
    assert refusal.value.remedy
    assert isinstance(refusal.value.facts["line"], int)


def test_headers_inside_a_hunk_are_content() -> None:
    inside = (
        b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n"
        b"--- a/.git/config\n+++ b/.github/workflows/ci.yml\n-diff --git a/y b/y\n+rename to z\n @@ -1 +1 @@\n"
    )
    (file,) = parse_patch(inside)
    assert file.path == "x"
    assert apply_to(file, b"-- a/.git/config\ndiff --git a/y b/y\n@@ -1 +1 @@\n") == (
        b"++ b/.github/workflows/ci.yml\nrename to z\n@@ -1 +1 @@\n"
    )


def test_a_quoted_name_is_decoded_before_anything_looks_at_it() -> None:
    body = b'diff --git "a/.\\147ithub/w\\303\\251.yml" "b/.\\147ithub/w\\303\\251.yml"\nnew file mode 100755\nindex 0000000..e69de29\n'
    assert [(file.path, file.new_mode) for file in parse_patch(body)] == [(".github/w\u00e9.yml", "100755")]


@pytest.mark.parametrize(
    "content",
    [b"c\n", b"", b"z\na\n", b"a", b"a\r\n", b" a\n", None],
    ids=["other", "empty", "one line further down", "no ending", "other ending", "indented", "absent"],
)
def test_a_patch_fits_exactly_or_not_at_all(content: bytes | None) -> None:
    (file,) = parse_patch(GOOD)
    assert apply_to(file, b"a\nrest") == b"b\nrest"
    with pytest.raises(PatchDoesNotFit):
        apply_to(file, content)


def test_hunks_in_the_wrong_order_or_place_do_not_fit() -> None:
    head = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n"
    base = b"a\nb\nc\n"
    for hunks in (
        b"@@ -3 +3 @@\n-c\n+C\n@@ -1 +1 @@\n-a\n+A\n",
        b"@@ -1 +2 @@\n-a\n+A\n",
        b"@@ -1 +1 @@\n-a\n+A\n@@ -1 +2 @@\n-a\n+A\n",
        b"@@ -1 +1,2 @@\n-a\n+A\n+B\n@@ -2 +2 @@\n-b\n+B\n",
    ):
        (file,) = parse_patch(head + hunks)
        with pytest.raises(PatchDoesNotFit):
            apply_to(file, base)


def test_a_deletion_takes_all_of_the_file() -> None:
    (file,) = parse_patch(
        b"diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    )
    assert apply_to(file, b"a\n") is None
    with pytest.raises(PatchDoesNotFit):
        apply_to(file, b"a\nb\n")
