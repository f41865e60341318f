"""The HTTP tools: one to read and one to write, for the hosts that an app declared, through the egress."""

import re
from typing import Any

from bailiwick.app import HttpAccess
from bailiwick.base import Refusal
from bailiwick.contract import Contract, EffectClass, ErrorCategory
from bailiwick.ports import Blobs, CallFailed, FactsNeed, FrameSink, Stop, ToolCall, ToolResult
from bailiwick.tools.addresses import parse_address, parse_site
from bailiwick.tools.credentials import Credentials, Redactor
from bailiwick.tools.egress import Cut, Egress, Incoming, Outgoing, Unreached
from bailiwick.tools.host import WRITES, Facts, Tool, patiently
from bailiwick.tools.http_contracts import MAX_INLINE, SHOWN_HEADERS, get_contract, request_contract

MAX_BODY = 1_048_576
_NO_WORK = {429: ErrorCategory.RATE_LIMITED, 503: ErrorCategory.TRANSIENT}
_NO_WORK_OF_A_WRITE = (429,)
"""A 503 may come from a gateway after the host behind it did the work."""

_BROKEN = 500
_NEVER_BEGAN = (501, 505)
_SECONDS = re.compile(r"[0-9]{1,4}")
_MARGIN = 0.5


class HttpTools:
    """The tools of one declaration.

    Args:
        access: Which hosts, which methods, which credential.
        egress: The way out.
        credentials: Resolves the credential at each call; it is sent to the first site of a call alone.
        redactor: Takes credentials out of bodies that are stored.
        blobs: Takes bodies that are large or no text.

    Raises:
        BadAddress: A declared host is not one.
    """

    def __init__(
        self,
        access: HttpAccess,
        egress: Egress,
        *,
        credentials: Credentials,
        redactor: Redactor,
        blobs: Blobs,
    ) -> None:
        self._access = access
        self._egress = egress
        self._credentials = credentials
        self._redactor = redactor
        self._blobs = blobs
        self._sites = tuple(sorted({parse_site(host) for host in access.hosts}))

    def tools(self) -> tuple[Tool, ...]:
        """List them for the host's registry: the one that writes only where methods were declared."""
        contracts = [get_contract(self._access, self._sites)]
        if self._access.methods:
            contracts.append(request_contract(self._access, self._sites))
        return tuple(Tool(contract, self._run, Facts(_nothing_needed, _facts)) for contract in contracts)

    async def _run(self, call: ToolCall, _sink: FrameSink, _stop: Stop) -> ToolResult:
        writes = call.contract.effect in WRITES
        try:
            answer = await self._egress.fetch(self._outgoing(call))
        except Unreached as error:
            raise CallFailed(ErrorCategory.TRANSIENT, str(error), unsent=True) from None
        except Cut as error:
            raise CallFailed(ErrorCategory.TIMEOUT, str(error), ambiguous=writes) from None
        asked = _wait(answer.headers.get("retry-after", ""))
        if answer.status in (_NO_WORK_OF_A_WRITE if writes else _NO_WORK):
            told = f"the host answered {answer.status}"
            raise CallFailed(_NO_WORK[answer.status], told, unsent=True, retry_after=asked)
        try:
            shown = await self._shown(call.tenant, answer, writes=writes)
        except Refusal as refusal:
            if not writes:
                raise
            told = f"the host answered {answer.status}, and its answer could not be kept: {refusal.message}"
            raise CallFailed(ErrorCategory.TRANSIENT, told, ambiguous=True) from refusal
        if writes and answer.status >= _BROKEN and answer.status not in _NEVER_BEGAN:
            told = f"the host answered {answer.status}: what it did before is not known"
            raise CallFailed(
                ErrorCategory.TRANSIENT, told, ambiguous=True, retry_after=asked, partial={"answered": shown}
            )
        return ToolResult(shown)

    def _outgoing(self, call: ToolCall) -> Outgoing:
        given = call.arguments
        method = given.get("method", "GET")
        headers = [*given.get("headers", {}).items()]
        body = given.get("body", "").encode()
        if body:
            headers.append(("content-type", given.get("content_type", "application/json")))
        if call.contract.effect is EffectClass.IDEMPOTENT_WRITE:
            headers.append(("idempotency-key", f'"{call.key}"'))
        if call.traceparent:
            headers.append(("traceparent", call.traceparent))
        return Outgoing(
            method=method,
            url=given["url"],
            sites=self._sites,
            headers=tuple(headers),
            secrets=self._secrets(call.contract),
            body=body,
            redirects=self._access.redirects if call.contract.effect not in WRITES else 0,
            max_bytes=MAX_BODY,
            seconds=max(call.timeout_seconds - _MARGIN, _MARGIN),
        )

    def _secrets(self, contract: Contract) -> tuple[tuple[str, str], ...]:
        reference = self._access.credential
        if not reference:
            return ()
        secret = self._credentials.resolve(reference, allowed=contract.credentials)
        return ((self._access.header, f"{self._access.prefix}{secret.reveal()}"),)

    async def _shown(self, tenant: str, answer: Incoming, *, writes: bool) -> dict[str, Any]:
        """Show an answer: chosen headers, and the body as text where it is short text, else as an artifact."""
        shown: dict[str, Any] = {
            "status": answer.status,
            "url": answer.url,
            "headers": {
                name: answer.headers[name][:1000] for name in SHOWN_HEADERS if name in answer.headers
            },
            "bytes": len(answer.body),
            "truncated": answer.truncated,
        }
        text = _text(answer.body) if len(answer.body) <= MAX_INLINE else None
        if text is not None:
            return {**shown, "text": text}
        clean = self._redactor.text(answer.body.decode("latin-1")).encode("latin-1")
        keep = patiently(self._blobs, tenant, clean) if writes else self._blobs.put(tenant, clean)
        return {**shown, "artifact": await keep}


def _nothing_needed(_arguments: dict[str, Any]) -> FactsNeed:
    return FactsNeed()


def _facts(arguments: dict[str, Any], _artifacts: dict[Any, bytes]) -> dict[str, Any]:
    """Say where a call goes, in the one reading that the egress has of it too."""
    address = parse_address(arguments["url"])
    return {"host": address.site, "method": arguments.get("method", "GET"), "url_path": address.path}


def _text(body: bytes) -> str | None:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _wait(text: str) -> float | None:
    """Read Retry-After in seconds; a date is left to the usual pauses."""
    return float(text) if _SECONDS.fullmatch(text) else None
