"""Which providers of models there are, and how each is reached."""

from enum import StrEnum

import msgspec


class StructuredOutput(StrEnum):
    """How a provider is made to answer with JSON of a schema.

    native: it enforces the schema itself. prompted: the schema stands in the prompt.
    """

    NATIVE = "native"
    PROMPTED = "prompted"


class ProviderConfig(msgspec.Struct, frozen=True):
    """A provider that speaks OpenAI's chat dialect.

    A model is called `NAME:MODEL`, for example `openai:gpt-5-mini`; only the models listed here are called,
    and those that a run has pinned.
    `api_key_ref` is a reference (`env:OPENAI_API_KEY`) that the host's resolver turns into the key, anew for
    each call; empty for a provider that wants none.
    A connection comes about in `connect_seconds`, the first byte of an answer in `first_token_seconds`, each further one
    in `silence_seconds` (0: what the monitor's rules say); a comment that only keeps alive is a byte like others. The
    whole call has the time of its contract. An answer that only repeats itself for `repetition_chars` is cut off; 0: none is.
    """

    name: str
    base_url: str
    models: tuple[str, ...]
    api_key_ref: str = ""
    structured_output: StructuredOutput = StructuredOutput.NATIVE
    connect_seconds: float = 10.0
    first_token_seconds: float = 0.0
    silence_seconds: float = 0.0
    repetition_chars: int = 6_000
