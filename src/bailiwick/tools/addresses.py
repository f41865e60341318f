"""Addresses: what a URL from outside means, in one reading, and which numbers on a network may be reached."""

import ipaddress
import re
from urllib.parse import unquote_to_bytes

import msgspec

from bailiwick.base import Category, Long, Refusal

MAX_URL = 2048
_PORTS = {"https": 443, "http": 80}
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.IGNORECASE
)
_PLACE = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]{2,45})\]|(?P<name>[A-Za-z0-9.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)
_PLAIN = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_STEM = re.compile(r"[;?#]")
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_OVERLONG = re.compile(
    r"%[cC][01]"
)  # the longer way to write an ASCII character, a dot or a slash among them
_ROUNDS = 4  # of decoding: a server behind a proxy behind a cache decodes no more often

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def _networks(*texts: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Where machines are told their credentials. No setting opens these.
_METADATA = _networks(
    "169.254.0.0/16", "fe80::/10", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
    "fd00:ec2::254/128", "fd20:ce::254/128",
)  # fmt: skip
_INTERNAL = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "::1/128", "fc00::/7"
)
# Besides those above: this network, protocol assignments, documentation, relays, benchmarks, multicast, reserved.
_NO_PLACE = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)  # fmt: skip
# Only global unicast: all that carries an IPv4 address inside (mapped, compatible, NAT64) lies outside of it.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class BadAddress(Refusal, code="bad_address", category=Category.INVALID):
    """A URL is not one that can be reached, or has more than one reading."""

    url: Long
    reason: str
    says = "the address {url!r} is not usable: {reason}"
    remedy = "write https://host/path?query in plain ASCII, with a name or a dotted address and no user"


class Address(msgspec.Struct, frozen=True):
    """Where a request goes. `host` is lower case; `path` and `query` are sent as they stand here."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @property
    def place(self) -> str:
        """Host, and port where it is not the scheme's own: what the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def site(self) -> str:
        """The name under which policies and allow-lists know it: the place; with http:// before it if not TLS."""
        return self.place if self.scheme == "https" else f"http://{self.place}"

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + self.query

    @property
    def url(self) -> str:
        """The whole of it."""
        return f"{self.scheme}://{self.place}{self.target}"


def parse_address(text: str) -> Address:
    """Read a URL from outside; a fragment is dropped, everything that has two readings is refused.

    Raises:
        BadAddress: Not http or https, over 2048 characters, not plain ASCII, with a user, a zone, a backslash,
            a number that is not a dotted address, a trailing dot, or a path that climbs, however it is encoded.
    """
    if len(text) > MAX_URL:
        raise BadAddress(text, f"it is longer than {MAX_URL} characters")
    match = _URL.fullmatch(text) if _PLAIN.fullmatch(text) and "\\" not in text else None
    if match is None:
        raise BadAddress(text, "it is no plain http(s) address")
    scheme = match["scheme"].lower()
    place = _PLACE.fullmatch(match["place"])
    if place is None:
        raise BadAddress(text, "the host is not a plain name or address; a user or a zone has no place here")
    port = int(place["port"]) if place["port"] else _PORTS[scheme]
    if not 0 < port < 65_536:
        raise BadAddress(text, "there is no such port")
    host = _six(text, place["six"]) if place["six"] else _named(text, place["name"].lower())
    path = match["path"] or "/"
    if _ESCAPE.search(path) or _climbs(path):
        raise BadAddress(text, "the path climbs, or hides what it names")
    if _OVERLONG.search(path):
        raise BadAddress(text, "the path holds bytes that no UTF-8 has")
    return Address(scheme, host, port, path, match["query"] or "")


def parse_site(text: str) -> str:
    """Read a host as declarations write it: `host`, `host:port`, or either behind `http://`.

    Raises:
        BadAddress: It is not one.
    """
    address = parse_address(f"{text}/" if text.startswith(("http://", "https://")) else f"https://{text}/")
    if address.target != "/":
        raise BadAddress(text, "a host has no path")
    return address.site


def may_be_reached(ip: IpAddress, *, internal: bool) -> bool:
    """Say whether an address is one that egress connects to.

    Args:
        ip: What a name resolved to.
        internal: The deployment named the site as one of its own: private networks and loopback are open too;
            link-local addresses and those of metadata services never are.
    """
    if _within(ip, _METADATA):
        return False
    if _within(ip, _INTERNAL):
        return internal
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return not _within(ip, _NO_PLACE)


def _within(ip: IpAddress, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def _six(url: str, text: str) -> str:
    try:
        return ipaddress.IPv6Address(text).compressed
    except ValueError:
        raise BadAddress(url, "the brackets hold no address") from None


def _named(url: str, name: str) -> str:
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress(url, "the host is not a name")
    if _NUMBER.fullmatch(labels[-1]):
        # Resolvers read 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 as numbers: only one written form is taken.
        try:
            return ipaddress.IPv4Address(name).compressed
        except ValueError:
            raise BadAddress(url, "a numeric address is written as four decimal numbers") from None
    return name


def _climbs(path: str) -> bool:
    """Look for dot segments and separators in each thing that the path may be decoded to."""
    for _ in range(_ROUNDS):
        if "\\" in path or any(ord(c) < 32 or ord(c) == 127 for c in path):
            return True
        if any(_STEM.split(segment)[0] in (".", "..") for segment in path.split("/")):
            return True
        decoded = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")  # each byte is one character
        if decoded == path:
            return False
        path = decoded
    return True  # still not plain: nobody encodes so often for a good reason
