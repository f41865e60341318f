"""An edit that fails only because of line ends, a mark or a Unicode form says so; plain line ends are meant where the file has others."""

import pytest
from tools_kit import Hand

from bailiwick.ports import CallFailed
from bailiwick.tools.lookalikes import nearest


async def test_plain_line_ends_are_found_in_a_file_of_others_which_keeps_its_own(hand: Hand) -> None:
    await hand("files.write", path="a", text="one\r\ntwo\r\nthree\r\n")
    await hand("files.edit", path="a", old="one\ntwo", new="1\n2\n2.5")
    assert (await hand("files.read", path="a"))["text"] == "1\r\n2\r\n2.5\r\nthree\r\n"


async def test_a_file_of_both_kinds_of_line_ends_is_not_guessed_about(hand: Hand) -> None:
    await hand("files.write", path="a", text="one\r\ntwo\nthree\r\n")
    with pytest.raises(CallFailed, match=r"written_otherwise.*line ends.*one.r.ntwo"):
        await hand("files.edit", path="a", old="one\ntwo\nthree", new="x")
    await hand("files.edit", path="a", old="two\nthree", new="2\n3")
    assert (await hand("files.read", path="a"))["text"] == "one\r\n2\n3\r\n"


@pytest.mark.parametrize(
    ("body", "old", "differs", "there"),
    [
        ("caf\u0065\u0301 = 1\nx\n", "caf\u00e9 = 1", "Unicode forms", "caf\u0065\u0301 = 1\n"),
        ("caf\u00e9\n", "caf\u0065\u0301", "Unicode forms", "caf\u00e9\n"),
        ("one\rtwo\rthree\r", "one\ntwo", "line ends", "one\rtwo\r"),
        ("x\none\ntwo\n", "\ufeffone\ntwo", "a byte order mark", "one\ntwo\n"),
    ],
)
def test_what_looks_alike_is_quoted_as_it_stands(body: str, old: str, differs: str, there: str) -> None:
    assert nearest(body, old) == (differs, there)


@pytest.mark.parametrize(
    ("body", "old"), [("one\n", "two"), ("a\rb\ra\rb\r", "a\nb"), ("", "x"), ("x", "\ufeff")]
)
def test_what_reads_like_no_place_or_two_is_not_offered(body: str, old: str) -> None:
    assert nearest(body, old) is None
