"""Egress: one reading of an address, one question to the resolver, and no way to what lies inside."""

# ruff: noqa: RUF001 - look-alike characters are what is tested

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.tools import (
    BadAddress,
    Cut,
    Egress,
    EgressRefused,
    Outgoing,
    Unreached,
    may_be_reached,
    parse_address,
)
from web_kit import certificate, page_of, resolver, web

INSIDE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
    "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8",
    "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "4000::1",
)  # fmt: skip
OUTSIDE = (
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
)
NEVER = ("169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "224.0.0.1", "0.0.0.0",
         "::ffff:127.0.0.1")  # fmt: skip
MISWRITTEN = (
    "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/",
    "https://0x7f.0.0.1/", "https://0/", "https://0x/", "https://127.0.0.1./", "https://api.test./",
    "https://127.0.0.0x1/", "https://00.0.0.0/", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://4294967296/",
    "https://[::1%25lo]/", "https://[fe80::1%eth0]/", "https://[::1/", "https://::1/", "https://[1.2.3.4]/",
    "https://[::ffff:0x7f.1]/", "https://127。0。0。1/", "https://127．0．0．1/", "https://①②⑦.0.0.1/",
    "https://ａｐｉ.test/", "https://api.test%2eevil.example/", "https://%31%32%37.0.0.1/", "https://user@api.test/",
    "https://api.test:443@evil.example/", "https://api.test\\@evil.example/", "https://evil.example\\.api.test/",
    "https:\\\\api.test/", "https:///api.test/", "https:api.test/", "//api.test/", "api.test", "",
    "ftp://api.test/", "file:///etc/passwd", "gopher://api.test/", "javascript:alert(1)", "data:text/plain,x",
    "unix:///run/x.sock", "https://api.test:0/", "https://api.test:65536/", "https://api.test:99999999/",
    "https://api.test:-1/", "https://api.test:44 3/", "https://api.test:４４３/", "https://api.test/a b",
    "https://api.test/\r\nHost: evil", "https://api.test/\x00", "https://api.test/\t", " https://api.test/",
    "https://api.test/é", "https://-api.test/", "https://api-.test/", "https://a_b.test/", "https://api..test/",
    "https://.test/", "https://" + "a" * 64 + ".test/", "https://api.test/" + "a" * 2048, "https://api.test/%zz",
    "https://api.test/%", "https://api.test/a/../b", "https://api.test/..", "https://api.test/a/./b",
    "https://api.test/a/%2e%2e/b", "https://api.test/a/%2E./b", "https://api.test/a/.%2e/b",
    "https://api.test/a/%252e%252e/b", "https://api.test/a/%25252e%25252e/b", "https://api.test/a%2f..%2fb",
    "https://api.test/a/..;x=1/b", "https://api.test/a%5c..%5cb", "https://api.test/a%00", "https://api.test/a%0d%0ab",
    "https://api.test/%2525252525252e", "https://api.test/..%3f", "https://api.test/a/..%23/b", "https://api.test/%c0%ae%c0%ae/",
    "https://api.test/%25252525c3%25252525a9",
)  # fmt: skip
WELL = (
    ("https://api.test", "api.test", "/"),
    ("HTTPS://API.Test:443/A?b=c#d", "api.test", "/A"),
    ("https://api.test:8443/a%20b", "api.test:8443", "/a%20b"),
    ("http://api.test/", "http://api.test", "/"),
    ("https://8.8.8.8/", "8.8.8.8", "/"),
    ("https://[2606:4700:0:0::1111]:8443/x", "[2606:4700::1111]:8443", "/x"),
    ("https://xn--bcher-kva.test/", "xn--bcher-kva.test", "/"),
    ("https://api.test/caf%C3%A9", "api.test", "/caf%C3%A9"),
    ("https://api.test/%E6%97%A5%E6%9C%AC", "api.test", "/%E6%97%A5%E6%9C%AC"),
    ("https://api.test/%F0%9F%98%80", "api.test", "/%F0%9F%98%80"),
    ("https://api.test/wiki/C%23", "api.test", "/wiki/C%23"),
    ("https://api.test/what%3F", "api.test", "/what%3F"),
    ("https://api.test/caf%25C3%25A9", "api.test", "/caf%25C3%25A9"),
    ("https://api.test/%C3", "api.test", "/%C3"),
)


def ask(url: str, *sites: str, **more: object) -> Outgoing:
    return Outgoing("GET", url, sites, **more)


@pytest.mark.parametrize("text", INSIDE)
def test_no_address_inside_is_reached(text: str) -> None:
    assert not may_be_reached(ipaddress.ip_address(text), internal=False)


@pytest.mark.parametrize("text", OUTSIDE)
def test_public_addresses_are_reached(text: str) -> None:
    assert may_be_reached(ipaddress.ip_address(text), internal=False)


def test_no_setting_opens_metadata_or_what_is_no_place() -> None:
    assert not any(may_be_reached(ipaddress.ip_address(text), internal=True) for text in NEVER)
    assert all(
        may_be_reached(ipaddress.ip_address(text), internal=True) for text in ("10.0.0.1", "::1", "fd12::1")
    )


@given(st.integers(0, 2**32 - 1))
def test_whatever_the_standard_library_calls_local_is_refused(number: int) -> None:
    ip = ipaddress.IPv4Address(number)
    local = not ip.is_global or ip.is_multicast or ip.is_reserved
    assert not (local and may_be_reached(ip, internal=False))
    embedded = (f"::ffff:{ip}", f"::{ip}", f"64:ff9b::{ip}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")
    assert not any(
        may_be_reached(ipaddress.ip_address(text), internal=True) for text in embedded if text != "::0.0.0.1"
    )


@pytest.mark.parametrize("url", MISWRITTEN)
def test_an_address_with_two_readings_has_none(url: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(url)


@pytest.mark.parametrize(("url", "site", "path"), WELL)
def test_a_plain_address_is_read_once_and_for_all(url: str, site: str, path: str) -> None:
    address = parse_address(url)
    assert (address.site, address.path) == (site, path)
    assert parse_address(address.url) == address


@given(st.text(max_size=80), st.sampled_from(("", "https://", "https://api.test/", "http://[", "https://1")))
def test_any_text_is_an_address_or_a_refusal(text: str, head: str) -> None:
    try:
        address = parse_address(head + text)
    except BadAddress as refusal:
        assert len(refusal.message) < 600
    else:
        assert parse_address(address.url) == address


@pytest.mark.parametrize("inside", INSIDE)
async def test_a_name_that_means_an_address_inside_is_refused(inside: str) -> None:
    resolve, _ = resolver((inside,))
    with pytest.raises(EgressRefused):
        await Egress(resolve=resolve).fetch(ask("https://api.test/", "api.test"))


async def test_one_number_inside_spoils_all() -> None:
    resolve, _ = resolver(("93.184.215.14", "127.0.0.1"))
    with pytest.raises(EgressRefused):
        await Egress(resolve=resolve).fetch(ask("https://api.test/", "api.test"))


@pytest.mark.parametrize(
    "url", ["https://other.test/", "http://api.test/", "https://api.test:8443/", "https://sub.api.test/"]
)
async def test_what_is_not_listed_is_not_even_resolved(url: str) -> None:
    resolve, asked = resolver(("93.184.215.14",))
    with pytest.raises(EgressRefused):
        await Egress(resolve=resolve).fetch(ask(url, "api.test"))
    assert asked == []


@pytest.mark.parametrize("site", ["http://api.test", "api.test:22", "api.test:8443"])
async def test_a_listed_site_still_needs_tls_and_an_open_port(site: str) -> None:
    resolve, asked = resolver(("93.184.215.14",))
    url = f"{site}/" if site.startswith("http") else f"https://{site}/"
    with pytest.raises(EgressRefused):
        await Egress(resolve=resolve).fetch(ask(url, site))
    assert asked == []


async def test_a_name_is_asked_once_and_the_connection_goes_to_the_answer() -> None:
    """A second answer, had anybody asked for it, would have led elsewhere."""
    async with web({"/": page_of(200, "hello")}) as site:
        name = f"http://api.test:{site.port}"
        resolve, asked = resolver(("127.0.0.1",), ("169.254.169.254",))
        answer = await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/", name))
    assert (answer.status, answer.body) == (200, b"hello")
    assert asked == ["api.test"]
    assert site.asked[0][1]["host"] == f"api.test:{site.port}"


async def test_the_certificate_is_that_of_the_name_not_of_the_number(tmp_path) -> None:
    server, trust = certificate(tmp_path, "api.test")
    async with web({"/": page_of(200, "sealed")}, server) as site:
        resolve, _ = resolver(("127.0.0.1",))
        good, wrong = f"api.test:{site.port}", f"other.test:{site.port}"
        egress = Egress(internal=[good, wrong], resolve=resolve, trust=trust)
        answer = await egress.fetch(ask(f"https://{good}/", good))
        with pytest.raises(Unreached, match="certificate"):
            await egress.fetch(ask(f"https://{wrong}/", wrong))
    assert answer.body == b"sealed"
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/latest/meta-data/", "http://[::1]/", "https://evil.example/", "http://2130706433/",
     "//evil.example/", "file:///etc/passwd", "http://api.test/", "https://user@api.test/"],
)  # fmt: skip
async def test_a_redirect_is_checked_like_the_first_address(location: str) -> None:
    async with web({"/": page_of(302, "", Location=location)}) as site:
        name = f"http://api.test:{site.port}"
        resolve, asked = resolver(("127.0.0.1",))
        with pytest.raises((EgressRefused, BadAddress)):
            await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/", name, redirects=3))
    assert asked == ["api.test"]


@pytest.mark.parametrize(
    "location", ["there", "../there", "./there", "/there?x=1", "?there", "//{place}/there"]
)
async def test_a_redirect_may_be_relative_to_where_it_was_asked(location: str) -> None:
    async with web({"/": page_of(200, "asked"), "/there": page_of(200, "there")}) as site:
        name = f"http://api.test:{site.port}"
        led = page_of(302, "", Location=location.format(place=name.removeprefix("http://")))
        site.pages["/"] = led if location != "?there" else page_of(200, "asked")
        site.pages["/from"] = led
        resolve, _ = resolver(("127.0.0.1",))
        answer = await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/from", name, redirects=1))
    assert answer.url == (f"{name}/from?there" if location == "?there" else answer.url)
    assert answer.status == (302 if location == "?there" else 200)


async def test_every_link_of_an_answer_is_kept_and_of_other_headers_the_first() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: </2>; rel=next\r\nETag: 1\r\nETag: 2\r\nLink: </9>; rel=last\r\n\r\n"
    async with web({"/": page}) as site:
        name = f"http://api.test:{site.port}"
        resolve, _ = resolver(("127.0.0.1",))
        answer = await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/", name))
    assert answer.headers["link"] == "</2>; rel=next, </9>; rel=last"
    assert answer.headers["etag"] == "1"


async def test_a_redirect_resolves_anew_and_falls_for_no_rebinding() -> None:
    async with web({"/": page_of(302, "", Location="/next"), "/next": page_of(200, "in")}) as site:
        name = f"http://api.test:{site.port}"
        resolve, asked = resolver(("127.0.0.1",), ("169.254.169.254",))
        with pytest.raises(EgressRefused):
            await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/", name, redirects=3))
    assert len(asked) == 2
    assert len(site.asked) == 1


async def test_redirects_end_after_three_and_credentials_stay_with_the_first_site() -> None:
    async with web({}) as second, web({}) as first:
        one, two = f"http://one.test:{first.port}", f"http://two.test:{second.port}"
        first.pages = {"/": page_of(302, "", Location="/same"), "/same": page_of(307, "", Location=f"{two}/")}
        second.pages = {"/": page_of(200, "end"), "/loop": page_of(302, "", Location="/loop")}
        resolve, _ = resolver(("127.0.0.1",))
        egress = Egress(internal=[one, two], resolve=resolve)
        secrets = (("Authorization", "Bearer canary"),)
        answer = await egress.fetch(ask(f"{one}/", one, two, redirects=3, secrets=secrets))
        assert (answer.body, answer.url) == (b"end", f"{two}/")
        assert [head.get("authorization") for _, head, _ in first.asked] == ["Bearer canary"] * 2
        assert [head.get("authorization") for _, head, _ in second.asked] == [None]
        looped = await egress.fetch(ask(f"{two}/loop", one, two, redirects=3))
    assert looped.status == 302
    assert len(second.asked) == 5


async def test_a_redirect_never_leaves_tls(tmp_path) -> None:
    server, trust = certificate(tmp_path, "api.test")
    async with web({}) as plain, web({}, server) as site:
        good, down = f"api.test:{site.port}", f"http://api.test:{plain.port}"
        site.pages = {"/": page_of(302, "", Location=f"{down}/")}
        resolve, _ = resolver(("127.0.0.1",))
        egress = Egress(internal=[good, down], resolve=resolve, trust=trust)
        with pytest.raises(EgressRefused, match="leaves https"):
            await egress.fetch(ask(f"https://{good}/", good, down, redirects=3))
    assert plain.asked == []


async def test_size_and_time_have_ends() -> None:
    async with web({"/big": page_of(200, b"x" * 300_000), "/never": b""}) as site:
        name = f"http://api.test:{site.port}"
        resolve, _ = resolver(("127.0.0.1",))
        egress = Egress(internal=[name], resolve=resolve)
        big = await egress.fetch(ask(f"{name}/big", name, max_bytes=1000))
        assert (len(big.body), big.truncated) == (1000, True)
        with pytest.raises(Cut):
            await egress.fetch(ask(f"{name}/never", name))


async def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with web({"/": page_of(200, "plain", Set_Cookie="a=b")}) as site:
        name = f"http://api.test:{site.port}"
        resolve, _ = resolver(("127.0.0.1",))
        egress = Egress(internal=[name], resolve=resolve)
        for _ in range(2):
            assert (await egress.fetch(ask(f"{name}/", name))).body == b"plain"
    assert all(set(head) == {"host", "accept-encoding", "connection"} for _, head, _ in site.asked)


async def test_a_port_nobody_listens_on_has_seen_nothing() -> None:
    async with web({}) as site:
        name = f"http://api.test:{site.port}"
    resolve, _ = resolver(("127.0.0.1",))
    with pytest.raises(Unreached):
        await Egress(internal=[name], resolve=resolve).fetch(ask(f"{name}/", name))


async def test_a_redirect_to_where_nobody_listens_has_been_asked_all_the_same() -> None:
    async with web({}) as silent:
        nobody = f"http://gone.test:{silent.port}"
    async with web({"/": page_of(302, "", Location=f"{nobody}/")}) as site:
        name = f"http://api.test:{site.port}"
        resolve, _ = resolver(("127.0.0.1",))
        egress = Egress(internal=[name, nobody], resolve=resolve)
        with pytest.raises(Cut, match="after a redirect"):
            await egress.fetch(ask(f"{name}/", name, nobody, redirects=1))
    assert len(site.asked) == 1
