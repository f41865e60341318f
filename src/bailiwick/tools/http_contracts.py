"""The contracts of the HTTP tools that an app declares for hosts."""

from typing import Any

from bailiwick.app import HttpAccess
from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind

MAX_INLINE = 65_536
PERMISSION = "network.egress"
READS = ("GET", "HEAD")
SHOWN_HEADERS = (
    "cache-control", "content-length", "content-type", "date", "etag", "last-modified", "link", "location",
    "retry-after", "x-request-id",
)  # fmt: skip
_VALUE = {"type": "string", "maxLength": 256, "pattern": "^[ -~]*$"}
_ASKED_HEADERS = ("accept", "accept-language", "if-match", "if-none-match", "prefer")
_FAILURES = (
    ErrorCategory.DENIED,
    ErrorCategory.RATE_LIMITED,
    ErrorCategory.TIMEOUT,
    ErrorCategory.TOOL_FAILED,
    ErrorCategory.TRANSIENT,
)


def _object(properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _input(methods: tuple[str, ...], sites: tuple[str, ...], *, body: bool) -> dict[str, Any]:
    url = {
        "type": "string",
        "minLength": 8,
        "maxLength": 2048,
        "description": f"a whole address on one of: {', '.join(sites)}"[:400],
    }
    headers = _object(dict.fromkeys(_ASKED_HEADERS, _VALUE), ())
    fields: dict[str, Any] = {"url": url, "method": {"enum": list(methods)}, "headers": headers}
    if body:
        fields["body"] = {
            "type": "string",
            "maxLength": 262_144,
            "description": "sent as it stands, as UTF-8",
        }
        fields["content_type"] = {"type": "string", "pattern": "^[A-Za-z0-9.+/;= -]{3,100}$"}
    return _object(fields, ("url", "method") if body else ("url",))


_OUTPUT = _object(
    {
        "status": {"type": "integer"},
        "url": {"type": "string", "description": "the address that answered"},
        "headers": _object({name: {"type": "string"} for name in SHOWN_HEADERS}, ()),
        "text": {"type": "string"},
        "artifact": {"type": "string", "description": "the digest of a body that is large or no text"},
        "bytes": {"type": "integer", "minimum": 0},
        "truncated": {"type": "boolean", "description": "the body went on; the rest was not read"},
    },
    ("status", "url", "headers", "bytes", "truncated"),
)


def get_contract(access: HttpAccess, sites: tuple[str, ...]) -> Contract:
    """Make the contract that reads."""
    return Contract(
        name=f"{access.name}.get",
        version=access.version,
        kind=Kind.TOOL,
        effect=EffectClass.READ_ONLY,
        summary=f"Read from {', '.join(sites)}"[:200],
        tags=("http",),
        permissions=(PERMISSION,),
        allowed_apis=sites,
        credentials=(access.credential,) if access.credential else (),
        timeout_seconds=access.timeout_seconds,
        failure_modes=_FAILURES,
        trace_fields=("url",),
        input=_input(READS, sites, body=False),
        output=_OUTPUT,
    )


def request_contract(access: HttpAccess, sites: tuple[str, ...]) -> Contract:
    """Make the contract that writes; hosts that keep Idempotency-Keys make its calls safe to repeat."""
    kept = access.keys_kept_hours
    return Contract(
        name=f"{access.name}.request",
        version=access.version,
        kind=Kind.TOOL,
        effect=EffectClass.IDEMPOTENT_WRITE if kept is not None else EffectClass.EXTERNAL_ACTION,
        summary=f"{', '.join(access.methods)} on {', '.join(sites)}"[:200],
        tags=("http",),
        permissions=(PERMISSION,),
        allowed_apis=sites,
        credentials=(access.credential,) if access.credential else (),
        timeout_seconds=access.timeout_seconds,
        key_kept_seconds=kept * 3600 if kept is not None else None,
        failure_modes=_FAILURES,
        trace_fields=("url", "method"),
        probe=access.probe,
        input=_input(access.methods, sites, body=True),
        output=_OUTPUT,
    )
