"""Ids: a typed prefix and 26 characters that sort by time (the layout of ULID, in lower case)."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_TIME_BITS = 48
_RANDOM_BITS = 80


def mint_id(prefix: str, millis: int, entropy: int) -> str:
    """Make an id such as `run_01jd7x…`: 48 bits of time, then 80 bits of entropy.

    Args:
        prefix: The type, for example `run` or `apr`; ASCII letters.
        millis: Milliseconds since 1970, 0 <= millis < 2**48.
        entropy: A number below 2**80, from the caller's random source.

    Raises:
        ValueError: A number is out of its range; the id would not sort where it belongs.
    """
    if not (0 <= millis < 1 << _TIME_BITS and 0 <= entropy < 1 << _RANDOM_BITS):
        raise ValueError(f"millis {millis} or the entropy is out of range")
    number = (millis << _RANDOM_BITS) | entropy
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def prefix_of(identifier: str) -> str:
    """Name the type of an id: `run` for `run_01jd7x…`; empty when there is none."""
    return identifier.partition("_")[0] if "_" in identifier else ""
