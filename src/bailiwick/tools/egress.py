"""Egress: the one way out to addresses that an agent, a plan or a tool can influence."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urljoin

import httpcore2
import msgspec

from bailiwick.base import Category, Long, Refusal
from bailiwick.tools.addresses import Address, BadAddress, may_be_reached, parse_address, parse_site

MAX_REDIRECTS = 3
CONNECT_SECONDS = 5.0
_REDIRECTS = (301, 302, 303, 307, 308)

Resolver = Callable[[str, int], Awaitable[tuple[str, ...]]]
"""Answers the addresses of a name, asked once for each request; raises OSError when there are none."""


class EgressRefused(Refusal, code="egress_refused", category=Category.FORBIDDEN):
    """An address may not be reached from here; nothing was sent to it."""

    site: Long
    reason: str
    says = "{site} is not reached: {reason}"
    remedy = "use a host that the tool is declared for; an internal one is named in the setting `egress`"


class Unreached(Exception):
    """No connection came about; the other side has seen nothing of the request."""


class Cut(Exception):
    """The connection ended, or time did, after the request was on its way; nobody knows what it did."""


class Outgoing(msgspec.Struct, frozen=True):
    """One request.

    `sites` are the places it may go to (see `Address.site`), also by redirects, of which it follows at most
    `redirects`. `secrets` are headers for the first site alone. Bytes beyond `max_bytes` are not read.
    """

    method: str
    url: str
    sites: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    redirects: int = 0
    max_bytes: int = 1_048_576
    seconds: float = 30.0


class Incoming(msgspec.Struct, frozen=True):
    """One answer, from the last address that was asked. `headers` have lower-case names.

    Of each name the first counts, and of `link` all: pages are often told in several.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool
    url: str


async def ask_system(host: str, port: int) -> tuple[str, ...]:
    """Resolve as this machine does."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Egress:
    """Connects to addresses that were checked, and to nothing that a name means a moment later.

    There is no proxy, cookie, netrc or variable of the environment in its way: it builds each request itself,
    on a connection of its own.

    Args:
        internal: Sites of the deployment's own, which may lie on private networks and speak plain HTTP.
        ports: Ports of all other sites.
        resolve: Answers names.
        trust: Whose certificates count; the system's when None.

    Raises:
        BadAddress: A site of `internal` is not one.
    """

    def __init__(
        self,
        *,
        internal: Iterable[str] = (),
        ports: tuple[int, ...] = (443,),
        resolve: Resolver = ask_system,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._internal = frozenset(parse_site(site) for site in internal)
        self._ports = ports
        self._resolve = resolve
        self._trust = trust

    async def fetch(self, outgoing: Outgoing) -> Incoming:
        """Send a request, follow redirects as far as it allows, and read the answer.

        Raises:
            BadAddress, EgressRefused: The address, or one that it leads to, may not be reached.
            Unreached: Nothing of the first request was sent.
            Cut: It was on its way when the connection or the time ended.
        """
        address = parse_address(outgoing.url)
        try:
            async with asyncio.timeout(outgoing.seconds):
                return await self._follow(outgoing, address)
        except TimeoutError:
            raise Cut(f"no answer within {outgoing.seconds:g} s") from None

    async def _follow(self, outgoing: Outgoing, first: Address) -> Incoming:
        address = first
        for hop in range(min(outgoing.redirects, MAX_REDIRECTS) + 1):
            secrets = outgoing.secrets if address.site == first.site else ()
            try:
                number = await self._checked(address, outgoing.sites)
                answer = await self._send(outgoing, address, number, secrets)
            except Unreached as unreached:
                if not hop:
                    raise
                raise Cut(f"after a redirect: {unreached}") from unreached
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None or hop == outgoing.redirects:
                return answer
            if outgoing.method not in ("GET", "HEAD"):
                return answer
            address = _next(address, location)
        raise EgressRefused(address.site, f"more than {MAX_REDIRECTS} redirects")

    async def _checked(self, address: Address, sites: tuple[str, ...]) -> str:
        """Hold an address to the lists, resolve it once, and answer the number to connect to.

        One number that may not be reached refuses them all: who mixes them is trying something.
        """
        internal = address.site in self._internal
        if address.site not in sites:
            raise EgressRefused(address.site, "the tool is not declared for it")
        if not internal and (address.scheme != "https" or address.port not in self._ports):
            raise EgressRefused(address.site, "only https, on a port that the deployment opened, is")
        try:
            found = await self._resolve(address.host, address.port)
        except OSError as error:
            raise Unreached(f"{address.host} does not resolve: {error}") from error
        for text in found:
            try:
                ip = ipaddress.ip_address(text)
            except ValueError:  # a zone, or what a broken resolver says
                raise EgressRefused(address.site, f"its name means {text[:60]!r}") from None
            if not may_be_reached(ip, internal=internal):
                raise EgressRefused(address.site, "its name means an address inside, or one of nobody")
        if not found:
            raise Unreached(f"{address.host} has no address")
        return found[0]

    async def _send(
        self, outgoing: Outgoing, address: Address, number: str, secrets: tuple[tuple[str, str], ...]
    ) -> Incoming:
        headers = [
            ("Host", address.place),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            *outgoing.headers,
            *secrets,
        ]
        if outgoing.body or outgoing.method not in ("GET", "HEAD"):
            headers.append(("Content-Length", str(len(outgoing.body))))
        url = httpcore2.URL(
            scheme=address.scheme.encode(),
            host=address.host.encode(),
            port=address.port,
            target=address.target.encode(),
        )
        request = httpcore2.Request(
            outgoing.method,
            url,
            headers=headers,
            content=outgoing.body,
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )
        pool = httpcore2.AsyncConnectionPool(self._trust, network_backend=_Pinned(number), retries=0)
        async with pool:
            try:
                response = await pool.handle_async_request(request)
                try:
                    return await _read(response, address.url, outgoing.max_bytes)
                finally:
                    await response.aclose()
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                raise Unreached(f"{address.site} cannot be reached: {error}") from error
            except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
                raise Cut(f"{address.site} broke off: {type(error).__name__}: {error}") from error


def _next(address: Address, location: str) -> Address:
    """Read where a redirect leads: a whole URL, or anything that is relative to the address that was asked."""
    try:
        following = parse_address(urljoin(address.url, location))
    except ValueError as error:
        raise BadAddress(location, f"it is no reference: {error}") from None
    if address.scheme == "https" and following.scheme != "https":
        raise EgressRefused(following.site, "a redirect leaves https")
    return following


async def _read(response: httpcore2.Response, url: str, limit: int) -> Incoming:
    headers: dict[str, str] = {}
    for raw, text in response.headers:
        name, value = raw.decode("latin-1").lower(), text.decode("latin-1")
        more = name == "link" and name in headers
        headers[name] = f"{headers[name]}, {value}" if more else headers.get(name, value)
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            break
    return Incoming(response.status, headers, bytes(body[:limit]), len(body) > limit, url)


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to one number, whatever name the request carries; the name stays in Host and in TLS."""

    def __init__(self, number: str) -> None:
        self._number = number
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return await self._inner.connect_tcp(
            self._number, port, timeout=timeout, local_address=local_address, socket_options=socket_options
        )
