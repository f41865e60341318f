"""Small texts of the command line: money, durations, and the safe forms of text from elsewhere."""

from bailiwick.base import hidden_in, visible

__all__ = ["hidden_in", "money", "seconds", "visible"]


def money(micro_usd: int) -> str:
    """Show micro-USD as USD: two decimals at least, and every digit that counts."""
    whole, rest = divmod(abs(micro_usd), 1_000_000)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micro_usd < 0 else ''}${whole}.{decimals}"


def seconds(milliseconds: int) -> str:
    """Show a duration."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
