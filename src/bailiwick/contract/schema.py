"""JSON Schema 2020-12, compiled once and kept by the digest of its text.

Schemas may come from tenants: patterns run on a linear-time engine and references stay inside the document.
"""

from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from bailiwick.base import Category, Json, Refusal, canonical, memo_key, parse_canonical
from bailiwick.contract.unfolding import fault_in_schema

MAX_SCHEMA_BYTES = 65_536
_MAX_ERRORS = 20
_PATTERN_BYTES = 512 * 1024  # of one compiled pattern: 64 KiB of schema could otherwise ask for gigabytes


class SchemaError(msgspec.Struct, frozen=True):
    """One place where a value does not fit: a JSON pointer and a sentence."""

    pointer: str
    detail: str


class InvalidSchema(Refusal, code="invalid_schema", category=Category.INVALID):
    """A schema is not a JSON Schema that this platform runs."""

    reason: str
    says = "not a usable JSON Schema: {reason}"
    remedy = "give a JSON Schema 2020-12 of at most 64 KiB; $ref is # or #/..., patterns have no look-around"


class Validator:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        fault = fault_in_schema(schema)
        if fault:
            raise InvalidSchema(fault)
        try:
            self._compiled = jsonschema_rs.Draft202012Validator(
                schema,
                pattern_options=jsonschema_rs.RegexOptions(
                    size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
                ),
                retriever=_refuse_remote,
            )
        except (ValueError, jsonschema_rs.ValidationError) as error:
            raise InvalidSchema(str(error)[:400]) from error

    def fits(self, value: Json) -> bool:
        """Say whether the value fits."""
        return self._compiled.is_valid(value)

    def errors(self, value: Json) -> tuple[SchemaError, ...]:
        """List where the value does not fit, at most 20 places."""
        found: list[SchemaError] = []
        for error in self._compiled.iter_errors(value):
            pointer = "".join(f"/{_escaped(part)}" for part in error.instance_path)
            found.append(SchemaError(pointer, error.message[:400]))
            if len(found) == _MAX_ERRORS:
                break
        return tuple(found)


def validator_for(schema: dict[str, Any]) -> Validator:
    """Compile a schema, or hand out the one compiled before.

    Raises:
        InvalidSchema: Not a schema, too large, or with a remote reference.
    """
    try:
        text = memo_key(schema)
        return _compiled(text if text is not None else canonical(schema))
    except TypeError as error:
        raise InvalidSchema(str(error)) from error


@lru_cache(maxsize=1024)
def _compiled(text: bytes) -> Validator:
    if len(text) > MAX_SCHEMA_BYTES:
        raise InvalidSchema(f"{len(text)} bytes are over {MAX_SCHEMA_BYTES}")
    return Validator(parse_canonical(text))


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _refuse_remote(uri: str) -> Json:
    raise ValueError(f"remote reference {uri!r}")
