"""HTTP tools: what an app declares decides the class, the key, the credential and where a call may go."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from tools_kit import KEY, Hand

from bailiwick.app import App, Probe
from bailiwick.contract import EffectClass, ErrorCategory, InvalidContract
from bailiwick.ports import CallFailed
from bailiwick.stores import DiskBlobs
from bailiwick.tools import BadAddress, Credentials, Egress, HttpTools, Redactor, Tool, Tools, function_tool
from web_kit import page_of, resolver, web

SECRET = "canary-5f0c3f2d9b"


@pytest.fixture
def declared(blobs: DiskBlobs) -> Callable[..., Hand]:
    """Make the tools of a declaration, with every name on the loopback."""

    def make(*hosts: str, beside: tuple[Tool, ...] = (), **options: Any) -> Hand:
        app = App("web")
        app.http(*hosts, **options)
        redactor = Redactor()
        resolve, _ = resolver(("127.0.0.1",))
        tools = HttpTools(
            app.accesses[0],
            Egress(internal=hosts, resolve=resolve),
            credentials=Credentials({**os.environ, "TOKEN": SECRET}, redactor),
            redactor=redactor,
            blobs=blobs,
        )
        return Hand(Tools((*beside, *tools.tools()), blobs=blobs, redactor=redactor))

    return make


async def failure(hand: Hand, name: str, **arguments: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await hand(name, **arguments)
    return failed.value


def test_the_class_of_a_write_follows_from_what_the_host_keeps(declared: Callable[..., Hand]) -> None:
    assert [each.name for each in declared("api.test").host.contracts()] == ["http.get"]
    external = declared("api.test", methods=["POST"]).contract("http.request")
    assert (external.effect, external.key_kept_seconds) == (EffectClass.EXTERNAL_ACTION, None)
    kept = declared("api.test", methods=["POST"], keys_kept_hours=24, name="orders").contract(
        "orders.request"
    )
    assert (kept.effect, kept.key_kept_seconds) == (EffectClass.IDEMPOTENT_WRITE, 86_400)
    assert kept.allowed_apis == ("api.test",)


def test_a_write_names_the_probe_that_its_declaration_does(declared: Callable[..., Hand]) -> None:
    def placed(key: str, arguments: dict[str, Any]) -> Probe:
        return Probe("cannot-tell")

    probe = function_tool(placed, name="orders.placed")
    hand = declared("api.test", methods=["POST"], probe="orders.placed@1", beside=(probe,))
    assert hand.contract("http.request").probe == "orders.placed@1"
    assert hand.contract("http.get").probe == ""
    with pytest.raises(InvalidContract, match=r"orders\.placed@1 is not offered"):
        declared("api.test", methods=["POST"], probe="orders.placed@1")
    with pytest.raises(ValueError, match="name the methods"):
        App("web").http("api.test", probe="orders.placed")


@pytest.mark.parametrize("bad", [{"methods": ["TRACE"]}, {"redirects": 4}, {"methods": ["GET"]}])
def test_a_declaration_that_means_nothing_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="methods are"):
        App("web").http("api.test", **bad)


@pytest.mark.parametrize("host", ["api.test/path", "user@api.test", "127.1", "ftp://api.test", ""])
def test_a_host_that_is_none_is_refused_at_the_start(declared: Callable[..., Hand], host: str) -> None:
    with pytest.raises(BadAddress):
        declared(host)


async def test_a_read_shows_status_chosen_headers_and_text(declared: Callable[..., Hand]) -> None:
    async with web({"/a": page_of(404, "not there", ETag='"1"', Set_Cookie="a=b", X_Secret="1")}) as site:
        host = f"http://api.test:{site.port}"
        answer = await declared(host)("http.get", url=f"{host}/a?b=c", headers={"accept": "text/plain"})
    assert answer == {
        "status": 404,
        "url": f"{host}/a?b=c",
        "headers": {"content-length": "9", "etag": '"1"'},
        "bytes": 9,
        "truncated": False,
        "text": "not there",
    }
    assert site.asked[0][0] == "GET /a?b=c"
    assert site.asked[0][1]["accept"] == "text/plain"


async def test_a_write_carries_its_key_and_its_credential_and_shows_neither(
    declared: Callable[..., Hand], blobs: DiskBlobs
) -> None:
    echo = f"you sent Bearer {SECRET}"
    pages = {"/a": page_of(201, echo), "/big": page_of(200, (echo + " ").encode() * 3000)}
    async with web(pages) as site:
        host = f"http://api.test:{site.port}"
        hand = declared(host, methods=["PUT"], keys_kept_hours=1, credential="env:TOKEN")
        answer = await hand("http.request", url=f"{host}/a", method="PUT", body='{"n":1}')
        large = await hand("http.get", url=f"{host}/big")
    line, head, body = site.asked[0]
    assert (line, body) == ("PUT /a", b'{"n":1}')
    assert (head["idempotency-key"], head["authorization"]) == (f'"{KEY}"', f"Bearer {SECRET}")
    assert head["content-type"] == "application/json"
    assert answer["text"] == "you sent Bearer [credential]"
    stored = await blobs.get("acme", large["artifact"])
    assert stored is not None
    assert SECRET.encode() not in stored
    assert stored.count(b"[credential]") == 3000


@pytest.mark.parametrize(
    ("status", "category"), [(429, ErrorCategory.RATE_LIMITED), (503, ErrorCategory.TRANSIENT)]
)
async def test_an_answer_that_proves_no_work_may_be_repeated(
    declared: Callable[..., Hand], status: int, category: ErrorCategory
) -> None:
    async with web({"/a": page_of(status, "", Retry_After="7")}) as site:
        host = f"http://api.test:{site.port}"
        hand = declared(host, methods=["POST"])
        failed = await failure(hand, "http.get", url=f"{host}/a")
    assert (failed.category, failed.unsent, failed.ambiguous, failed.retry_after) == (
        category,
        True,
        False,
        7.0,
    )
    gone = await failure(hand, "http.request", url=f"{host}/a", method="POST", body="{}")
    assert (gone.unsent, gone.ambiguous) == (True, False)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_write_that_is_answered_by_a_broken_server_is_unknown_and_never_resent(
    declared: Callable[..., Hand], status: int
) -> None:
    """A gateway says 503 or 504 also after the host behind it did the work."""
    async with web({"/a": page_of(status, "gone wrong", Retry_After="7")}) as site:
        host = f"http://api.test:{site.port}"
        failed = await failure(
            declared(host, methods=["POST"]), "http.request", url=f"{host}/a", method="POST", body="{}"
        )
    assert (failed.ambiguous, failed.unsent, failed.retry_after) == (True, False, 7.0)
    assert failed.partial["answered"]["status"] == status
    assert failed.partial["answered"]["text"] == "gone wrong"
    assert len(site.asked) == 1


@pytest.mark.parametrize("status", [429, 501, 404, 200])
async def test_a_write_that_is_answered_otherwise_has_its_outcome(
    declared: Callable[..., Hand], status: int
) -> None:
    async with web({"/a": page_of(status, "so be it")}) as site:
        host = f"http://api.test:{site.port}"
        hand = declared(host, methods=["POST"])
        if status == 429:
            failed = await failure(hand, "http.request", url=f"{host}/a", method="POST", body="{}")
            assert (failed.unsent, failed.ambiguous) == (True, False)
        else:
            answer = await hand("http.request", url=f"{host}/a", method="POST", body="{}")
            assert answer["status"] == status
    assert len(site.asked) == 1


async def test_a_write_that_was_cut_off_is_unknown_and_a_read_is_not(declared: Callable[..., Hand]) -> None:
    async with web({"/a": b"", "/half": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"}) as site:
        host = f"http://api.test:{site.port}"
        hand = declared(host, methods=["POST"])
        for path in ("/a", "/half"):
            write = await failure(hand, "http.request", url=host + path, method="POST", body="{}")
            read = await failure(hand, "http.get", url=host + path)
            assert (write.ambiguous, write.unsent) == (True, False)
            assert (read.ambiguous, read.unsent) == (False, False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"authorization": "Bearer x"}},
        {"headers": {"host": "evil.example"}},
        {"headers": {"accept": "a\r\nHost: evil.example"}},
        {"headers": {"cookie": "a=b"}},
        {"method": "POST"},
        {"method": "CONNECT"},
        {"body": "x"},
        {"url": ["https://api.test/"]},
        {"url": "x"},
        {"timeout": 1},
    ],
)
async def test_arguments_beyond_the_contract_are_refused(
    declared: Callable[..., Hand], arguments: dict[str, Any]
) -> None:
    async with web({}) as site:
        host = f"http://api.test:{site.port}"
        await failure(declared(host), "http.get", **({"url": f"{host}/"} | arguments))
    assert site.asked == []


async def test_a_read_is_led_nowhere_unless_the_app_said_so(declared: Callable[..., Hand]) -> None:
    async with web({"/a": page_of(302, "", Location="/b"), "/b": page_of(200, "there")}) as site:
        host = f"http://api.test:{site.port}"
        shown = await declared(host)("http.get", url=f"{host}/a")
        led = await declared(host, redirects=1)("http.get", url=f"{host}/a")
    assert (shown["status"], shown["headers"]["location"]) == (302, "/b")
    assert (led["text"], led["url"]) == ("there", f"{host}/b")


def test_policy_sees_where_a_call_goes(declared: Callable[..., Hand]) -> None:
    hand = declared("api.test:8443", methods=["DELETE"])
    contract = hand.contract("http.request")
    given = {"url": "https://API.test:8443/v1/a%20b?x=1#y", "method": "DELETE"}
    seen = hand.host.derive_facts(contract, given, {})
    assert seen == {"host": "api.test:8443", "method": "DELETE", "url_path": "/v1/a%20b"}
