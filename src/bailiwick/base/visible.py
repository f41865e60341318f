"""Text from elsewhere, made safe to show: what could steer a terminal or mislead an eye is shown by its number."""

import json
import re
import unicodedata

from bailiwick.base.canonical import Json

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_MARKS = frozenset({"Mn", "Mc", "Me"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_WORD = re.compile(r"\w+")
# Letters of other scripts that are drawn like Latin ones (from the confusables of UTS 39), by number.
_TWINS = frozenset(
    map(
        chr,
        (
            *(
                0x391,
                0x392,
                0x395,
                0x396,
                0x397,
                0x399,
                0x39A,
                0x39C,
                0x39D,
                0x39F,
                0x3A1,
                0x3A4,
                0x3A5,
                0x3A7,
            ),
            *(0x3B1, 0x3B9, 0x3BA, 0x3BD, 0x3BF, 0x3C1, 0x3C5, 0x3F2, 0x3F3),
            *(
                0x405,
                0x406,
                0x408,
                0x410,
                0x412,
                0x415,
                0x41A,
                0x41C,
                0x41D,
                0x41E,
                0x420,
                0x421,
                0x422,
                0x423,
            ),
            *(
                0x425,
                0x430,
                0x435,
                0x43E,
                0x440,
                0x441,
                0x443,
                0x445,
                0x455,
                0x456,
                0x458,
                0x4AF,
                0x4BB,
                0x4CF,
            ),
            *(0x501, 0x51B, 0x51D, 0x555, 0x578, 0x57D, 0x585),
        ),
    )
)


def visible(text: str, *, lines: bool = False) -> str:
    r"""Show control, bidirectional, invisible and unassigned characters as `\u{202e}`.

    Args:
        text: Anything: model output, a diff, a name somebody chose.
        lines: Keep line ends and tabs; otherwise they are shown too, so that the text stays on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _plain(char, lines=lines) else _number(char) for char in text)


def hidden_in(text: str) -> int:
    """Count the characters that `visible` would show by number in a text of several lines."""
    return sum(not _plain(char, lines=True) for char in text)


def unmistakable(text: str) -> str:
    r"""Show a text of several lines so that no other text looks the same.

    What `visible` shows by number, and beside that: combining marks, forms of ASCII characters (full width,
    mathematical), letters of another script in a word with Latin ones, and words made of nothing but letters that
    are drawn like Latin ones. A backslash that would begin such a number in the text itself is shown by its own.
    """
    parts: list[str] = []
    end = 0
    for word in _WORD.finditer(text):
        parts += [_shown(char) for char in text[end : word.start()]]
        parts += _word(word.group())
        end = word.end()
    parts += [_shown(char) for char in text[end:]]
    shown = "".join(parts)
    # Only a backslash of the text itself stands alone here: every number is one part.
    return shown if "\\u{" not in text else "".join(_literal(parts))


def escaped(value: Json) -> str:
    """Write JSON in ASCII alone, keys sorted: two values look the same only if their canonical bytes are the same."""
    return json.dumps(value, indent=2, sort_keys=True)


def _literal(parts: list[str]) -> list[str]:
    following = [*parts[1:], "", ""]
    return [
        _number("\\") if part == "\\" and following[at][:1] == "u" else part for at, part in enumerate(parts)
    ]


def _word(word: str) -> list[str]:
    if word.isascii():
        return list(word)
    letters = [char for char in word if char.isalpha()]
    mixed = any(char.isascii() for char in letters)
    twins = all(char in _TWINS for char in letters)
    return [_number(char) if (mixed or twins) and _foreign(char) else _shown(char) for char in word]


def _shown(char: str) -> str:
    return char if _plain(char, lines=True) and not _disguised(char) else _number(char)


def _foreign(char: str) -> bool:
    """Whether a letter belongs to another script than Latin."""
    return char.isalpha() and not char.isascii() and not unicodedata.name(char, "").startswith("LATIN ")


def _disguised(char: str) -> bool:
    """Whether a character joins the one before it, or is another form of ASCII."""
    if char.isascii():
        return False
    return unicodedata.category(char) in _MARKS or unicodedata.normalize("NFKC", char).isascii()


def _number(char: str) -> str:
    return f"\\u{{{ord(char):x}}}"


def _plain(char: str, *, lines: bool) -> bool:
    if " " <= char <= "~":
        return True
    if char in "\n\t":
        return lines
    if char in _BLANK or any(low <= ord(char) <= high for low, high in _SELECTORS):
        return False
    return unicodedata.category(char) not in _HIDDEN
