"""Text from elsewhere, made safe to print: what could steer a terminal or mislead an eye is shown by its number."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


def visible(text: str, *, lines: bool = False) -> str:
    r"""Show control, bidirectional, invisible and unassigned characters as `\u{202e}`.

    Args:
        text: Anything: model output, a diff, a name somebody chose.
        lines: Keep line ends and tabs; otherwise they are shown too, so that the text stays on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _plain(char, lines=lines) else f"\\u{{{ord(char):x}}}" for char in text)


def hidden_in(text: str) -> int:
    """Count the characters that `visible` would show by number in a text of several lines."""
    return sum(not _plain(char, lines=True) for char in text)


def _plain(char: str, *, lines: bool) -> bool:
    if " " <= char <= "~":
        return True
    if char in "\n\t":
        return lines
    if char in _BLANK or any(low <= ord(char) <= high for low, high in _SELECTORS):
        return False
    return unicodedata.category(char) not in _HIDDEN


def money(micro_usd: int) -> str:
    """Show micro-USD as USD: two decimals at least, and every digit that counts."""
    whole, rest = divmod(abs(micro_usd), 1_000_000)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro_usd < 0 else ''}${whole}.{decimals}"


def seconds(milliseconds: int) -> str:
    """Show a duration."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
