"""A real process, byte by byte: what a server answers before, beside and instead of a route."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.settings import Settings
from app.wiring import open_store
from tests.api.wire import Line
from tests.support.bed import settings_for
from tests.support.processes import GatewayProcess
from tests.support.redis_server import RedisServer
from tests.support.tenant_keys import key_of_tenant
from tests.support.vendor import Vendor
from tests.support.wait import wait_in_thread

LIMIT_BYTES = 65_536
GIBIBYTE = 1024**3
MUCH_BYTES = 16 * 1024 * 1024
CHUNK = b"4000\r\n" + b" " * 0x4000 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway process, a key for it, and the head of a create up to what says its length."""

    gateway: GatewayProcess
    vendor: Vendor
    head: bytes

    def asked(self, line: str, body: bytes = b"") -> bytes:
        """Return another request with the key, by its first line."""
        _, _, fields = self.head.partition(b"\r\n")
        return f"{line}\r\n".encode() + fields + b"content-length: %d\r\n\r\n" % len(body) + body

    def streams(self) -> int:
        """Return how many streams the gateway serves, as it tells."""
        for line in self.gateway.http.get("/metrics").text.splitlines():
            if line.startswith('reelgate_listeners{kind="stream"}'):
                return int(float(line.split()[-1]))
        return 0

    def line(self) -> Line:
        """Connect."""
        return Line(self.gateway.url)


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, served_vendor: Vendor
) -> Iterator[tuple[GatewayProcess, str]]:
    """One gateway for all tests of this file, with a store of its own, and a key."""
    folder = tmp_path_factory.mktemp("wire")
    with (
        RedisServer() as server,
        GatewayProcess(
            folder,
            server.url,
            served_vendor.url,
            REELGATE_MAX_BODY_BYTES=str(LIMIT_BYTES),
            REELGATE_LIVE__HEARTBEAT_S="1",
        ) as gateway,
    ):
        settings = settings_for(server.url, folder / "keys-data", served_vendor.url)
        yield gateway, asyncio.run(key_on(settings))


async def key_on(settings: Settings) -> str:
    """Return a key on the store of these settings."""
    async with open_store(settings) as store:
        return await key_of_tenant(store.tenants, store.keys, "acme", now_ms=store.clock.now_ms())


@pytest.fixture
def served(process: tuple[GatewayProcess, str], vendor: Vendor) -> Served:
    """The gateway, and a vendor with an empty journal."""
    gateway, key = process
    head = (
        "POST /v1/videos/generations HTTP/1.1\r\nhost: gateway.example.com\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    return Served(gateway, vendor, head.encode())


@pytest.mark.parametrize(
    "content",
    [
        b"get /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
        b"ACME /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /v1/\xc3\xa9 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\nbad header: 1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
    ],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_what_is_no_http_request_is_refused_in_the_envelope(served: Served, content: bytes) -> None:
    """Even what no route and no framework ever sees is answered in JSON; then the line ends."""
    with served.line() as line:
        line.send(content)
        answer = line.receive()

        assert answer.status == 400
        assert answer.error()["reason"] == "invalid_request"
        assert answer.error()["type"] == "invalid_request_error"
        assert line.is_ended()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"OPTIONS * HTTP/1.1", "Invalid URL (OPTIONS"),
        (b"GET //v1/tasks/a HTTP/1.1", "Invalid URL (GET //v1/tasks/a)"),
        (b"GET http://elsewhere.example.com/a HTTP/1.1", "Invalid URL (GET /a)"),
        (b"GET /v1/tasks/a#b HTTP/1.1", "Authorization"),
        (b"PROPFIND /healthz HTTP/1.1", "PROPFIND on /healthz"),
        (b"TRACE /healthz HTTP/1.1", "TRACE on /healthz"),
        (b"M-SEARCH /healthz HTTP/1.1", "M-SEARCH on /healthz"),
    ],
)
def test_what_is_odd_but_http_reaches_the_gateway(
    served: Served, start: bytes, message: str
) -> None:
    """And is answered by it, on a line that goes on."""
    with served.line() as line:
        for _ in range(2):
            line.send(start + b"\r\nhost: a\r\n\r\n")
            answer = line.receive()

            assert message in answer.error()["message"]


@pytest.mark.parametrize("host", [b"", b"[", b"a b", b"a/b?c#d", b"user@a", b"\xff"])
def test_the_host_header_changes_nothing(served: Served, host: bytes) -> None:
    """Whatever a client or a proxy writes there, the answer is about the path."""
    with served.line() as line:
        line.send(b"GET /nowhere HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")

        assert line.receive().error()["message"] == "Invalid URL (GET /nowhere)"


def test_an_announced_gibibyte_is_refused_before_it_comes(served: Served) -> None:
    """The declared length is enough; nobody waits for the body."""
    with served.line() as line:
        line.send(served.head + b"content-length: %d\r\n\r\n{" % GIBIBYTE)
        answer = line.receive()

    assert answer.status == 413
    assert answer.error()["reason"] == "request_too_large"
    assert served.vendor.journal() == []


def test_a_client_that_asks_first_is_refused_without_sending(served: Served) -> None:
    """`Expect: 100-continue` is answered with the refusal, not with an invitation."""
    with served.line() as line:
        line.send(served.head + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % GIBIBYTE)

        assert line.receive().status == 413


def test_a_body_without_a_length_is_read_up_to_the_limit(served: Served) -> None:
    """In chunks nobody announces how much comes; what passes the limit is refused there."""
    with served.line() as line:
        line.send(served.head + b"transfer-encoding: chunked\r\n\r\n")
        line.send(CHUNK * (LIMIT_BYTES // 0x4000 + 1))
        answer = line.receive()

    assert answer.status == 413
    assert answer.error()["reason"] == "request_too_large"
    assert served.vendor.journal() == []


@pytest.mark.parametrize(
    ("authorized", "length", "piece"),
    [
        (True, b"content-length: %d" % GIBIBYTE, b" " * 0x4000),
        (True, b"transfer-encoding: chunked", CHUNK),
        (False, b"content-length: %d" % GIBIBYTE, b" " * 0x4000),
        (False, b"transfer-encoding: chunked", CHUNK),
    ],
    ids=["413 declared", "413 chunked", "401 declared", "401 chunked"],
)
def test_an_answer_before_the_end_of_the_body_ends_the_connection(
    served: Served, authorized: bool, length: bytes, piece: bytes
) -> None:
    """The server stops reading: nobody makes it swallow what it has refused already."""
    head = served.head if authorized else served.head.replace(b"Bearer", b"Nobody")
    with served.line() as line:
        line.send(head + length + b"\r\n\r\n")
        sent = line.push(piece, MUCH_BYTES)

    assert sent < MUCH_BYTES


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-a: ", b"a" * 0x4000),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\n", b"x-a: b\r\n" * 0x800),
    ],
    ids=["one header", "many headers"],
)
def test_a_head_without_end_is_not_read_for_ever(
    served: Served, start: bytes, piece: bytes
) -> None:
    """Nobody, with a key or without, makes the process hold whatever is sent to it."""
    with served.line() as line:
        line.send(start)
        sent = line.push(piece, MUCH_BYTES)

    assert sent < MUCH_BYTES


def test_a_head_of_usual_size_is_read(served: Served) -> None:
    """Cookies and tokens of some kilobytes come with requests of browsers."""
    with served.line() as line:
        line.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\ncookie: " + b"a" * 0x4000 + b"\r\n\r\n")

        assert line.receive().status == 200


def test_a_client_that_reads_gets_the_refusal_before_the_end(served: Served) -> None:
    """The answer arrives whole, and says that the connection ends."""
    with served.line() as line:
        line.send(served.head + b"content-length: %d\r\n\r\n" % GIBIBYTE)
        answer = line.receive()

        assert answer.header("connection") == "close"
        assert answer.error()["reason"] == "request_too_large"
        assert line.is_ended()


def test_a_refusal_of_a_whole_request_keeps_the_connection(served: Served) -> None:
    """A body that was read to its end is no reason to make the client connect again."""
    with served.line() as line:
        for _ in range(3):
            line.send(served.head + b"content-length: 2\r\n\r\n{}")
            answer = line.receive()

            assert answer.error()["reason"] == "invalid_request"
            assert answer.header("connection") is None


def test_a_client_that_hangs_up_halfway_creates_nothing(served: Served) -> None:
    """Half a body is no request, and no defect of ours either."""
    with served.line() as line:
        line.send(served.head + b"x-request-id: hung-up-1\r\ncontent-length: 100\r\n\r\n{")
        line.hang_up()

    ended = wait_in_thread(
        lambda: [e for e in served.gateway.events() if e.get("request_id") == "hung-up-1"],
        describing="the gateway to notice that its client is gone",
    )
    assert "request.failed" not in [event["event"] for event in ended]
    assert served.vendor.journal() == []


def test_a_head_has_the_headers_of_its_get_and_no_body(served: Served) -> None:
    """A body would be taken for the next answer on the line."""
    with served.line() as line:
        line.send(b"HEAD /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n")
        head = line.receive(to_head=True)
        line.send(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n")
        got = line.receive()

    assert (head.status, got.status) == (200, 200)
    assert head.header("content-length") == got.header("content-length") == str(len(got.body))


def test_requests_on_one_line_have_ids_of_their_own(served: Served) -> None:
    """Also where two are sent before the first is answered."""
    request = b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n"
    with served.line() as line:
        line.send(request * 3)
        ids = [line.receive().error()["request_id"] for _ in range(3)]

    assert len(set(ids)) == 3


def test_the_server_does_not_say_what_it_is_made_of(served: Served) -> None:
    """No `Server` header: what runs here is nobody's business but the operator's."""
    with served.line() as line:
        line.send(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")

        assert line.receive().header("server") is None


@pytest.mark.parametrize("behind", [0, 1, 3])
def test_a_stream_ends_with_its_line_whatever_was_asked_behind_it(
    served: Served, behind: int
) -> None:
    """Its place is free again; what was asked behind it is not answered to nobody."""
    with served.line() as line:
        line.send(b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n")
        assert line.receive().status == 404
        line.send(served.asked("GET /v1/events HTTP/1.1"))
        assert line.receive().status == 200
        assert served.streams() == 1
        line.send(served.asked("GET /v1/models HTTP/1.1") * behind)
        line.hang_up()

    wait_in_thread(lambda: served.streams() == 0, describing="the stream to end")


def test_a_stream_has_no_chunks_for_a_client_of_http_1_0(served: Served) -> None:
    """They would stand amid its lines: the events come bare, and end with the connection."""
    with served.line() as line:
        line.send(served.asked("POST /v1/tokens HTTP/1.1", b'{"ttl_s": 1}'))
        token = json.loads(line.receive().body)["token"]
    with served.line() as line:
        asked = f"GET /v1/events HTTP/1.0\r\nhost: a\r\nauthorization: Bearer {token}\r\n"
        line.send(asked.encode() + b"connection: keep-alive\r\n\r\n")
        head = line.receive()
        text = line.rest()

    assert (head.status, head.header("transfer-encoding")) == (200, None)
    assert head.header("connection") == "close"
    lines = [each.partition(b":")[0] for each in text.split(b"\n") if each.rstrip(b":")]
    assert lines == [b"retry", b"id", b"event", b"data"]
    assert b'"invalid_key"' in text
    assert text.endswith(b"}\n\n")


def test_other_answers_are_the_same_for_a_client_of_http_1_0(served: Served) -> None:
    """With their length, and the end of the connection."""
    for path, status in (("/healthz", 200), ("/v1/models", 200), ("/nowhere", 404)):
        with served.line() as line:
            line.send(served.asked(f"GET {path} HTTP/1.0"))
            answer = line.receive()

            assert (answer.status, answer.header("transfer-encoding")) == (status, None)
            assert answer.header("content-length") == str(len(answer.body))
            assert line.is_ended()
