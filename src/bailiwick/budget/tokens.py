"""The most tokens that a text can be, told without its tokenizer: one for each byte of UTF-8.

A byte-level tokenizer, which is what current models have, joins bytes into tokens and never splits one,
so it cannot need more, and text in rare scripts and control characters really takes a token for each byte.
The usual rules of thumb are no bounds. Measured with the cl100k and o200k vocabularies, a token holds 4.2
bytes of English and 4.0 of Python, but 1.8 of hexadecimal digits, 1.7 of ids, 1.4 of base64 and 1.3 of
Chinese names: bytes / 3, right on average, would set half of what those cost aside. A rule that was safe on
all of them saved a fifth on prose, too little to give up the certainty.

The price of certainty is a reservation of about four times the input, which comes back when the call is settled;
only where the provider never told what was used (a cut or canceled call) is the bound what is charged.
"""

from collections.abc import Iterable

PER_TEXT = 8
"""Tokens of framing around each message or tool definition: role, separators, call ids (providers state 3 to 7)."""
PER_REQUEST = 16
"""Tokens of framing around a request: the opening of the answer, and the preamble of tools."""


HIDDEN = 4096
"""What a provider may add to a request out of our sight and count as input: its own preamble, how it words tools and schemas."""


def token_bound(text: str) -> int:
    """Tell the most tokens that a text can be, >= 0."""
    return len(text.encode("utf-8", "surrogatepass"))


def input_token_bound(texts: Iterable[str]) -> int:
    """Tell the most input tokens of a request made of these messages, tool arguments and definitions.

    The bound of a history and of what is added to it is the sum of both, less `PER_REQUEST`: so it can be
    carried along, and a long history is not counted again in each turn.
    """
    return PER_REQUEST + sum(token_bound(text) + PER_TEXT for text in texts)
