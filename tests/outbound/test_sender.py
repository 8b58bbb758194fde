"""One POST: what arrives, what is told of it, and that each is on its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import psutil
import pytest

from app.domain.targets import TargetPolicy
from app.outbound.sender import MAX_KEPT_BYTES, Attempted, Sender
from tests.outbound.conftest import LOOPBACK
from tests.outbound.receiver import Receiver, dialled
from tests.support.fault_server import Fault, FaultServer
from tests.support.wait import wait_until

HEADERS = {
    "content-type": "application/json",
    "user-agent": "Reelgate/test",
    "webhook-id": "msg_1",
    "webhook-signature": "v1,a v1,b",
}


class Names:
    """A resolver with one answer for every name."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the answer."""
        self.asked.append((host, port))
        return self.addresses


class Silence:
    """A resolver whose name server does not answer until told to."""

    def __init__(self) -> None:
        self.asked = False
        self.ended = asyncio.Event()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Wait."""
        self.asked = True
        await self.ended.wait()
        return ["127.0.0.1"]


async def post_to(
    server: Receiver | FaultServer, *, body: bytes = b"{}", timeout_s: float = 5
) -> Attempted:
    """Send one POST to a server on loopback."""
    sender = Sender(LOOPBACK, timeout_s=timeout_s, ca_file=None)
    try:
        return await sender.post(f"{server.url}/hook", headers=HEADERS, body=body)
    finally:
        await sender.aclose()


async def test_headers_and_body_arrive_as_given_and_nothing_is_added(sender):
    """The receiver sees what was signed, the host it goes by, and the framing."""
    async with Receiver() as receiver:
        attempted = await sender.post(
            f"{receiver.url}/hook", headers=HEADERS, body=b'{"a": "\xc3"}'
        )

    (request,) = receiver.received
    assert (request.line, request.body) == ("POST /hook HTTP/1.1", b'{"a": "\xc3"}')
    assert request.headers == HEADERS | {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": "10",
        "connection": "close",
    }
    assert (attempted.status, attempted.outcome, attempted.answer) == (200, "answered", b"ok")
    assert (attempted.peer, attempted.why, attempted.retry_after) == ("127.0.0.1", "", "")
    assert 0 <= attempted.took_ms < 5000


@pytest.mark.parametrize(
    "rest",
    [
        "?videoUuid=a%2Fb&ts=1&sig=ab+cd==",
        "/a//b/../c?x[]=1&x[]=2&empty=&&",
        "/%41%zz?q='\"<>{}|^`~!$()*,;:@/?",
        "//hooks.example.com/",
    ],
)
async def test_path_and_query_arrive_byte_for_byte(sender, rest):
    """Clients sign their own address: it is not decoded, encoded, sorted or tidied."""
    async with Receiver() as receiver:
        await sender.post(f"{receiver.url}{rest}", headers={}, body=b"{}")

    shown = rest if rest.startswith("/") else f"/{rest}"
    assert receiver.received[0].line == f"POST {shown} HTTP/1.1"


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
async def test_a_body_of_any_size_arrives_whole(sender, size):
    """With its length, in one piece or many."""
    body = bytes(index % 251 for index in range(size))
    async with Receiver() as receiver:
        attempted = await sender.post(receiver.url, headers={}, body=body)

    assert receiver.received[0].headers["content-length"] == str(size)
    assert receiver.received[0].body == body
    assert attempted.status == 200


@pytest.mark.parametrize(
    "status", [101, 200, 201, 204, 299, 304, 400, 404, 410, 429, 500, 503, 599, 999]
)
async def test_any_status_is_an_answer(status):
    """What it means is for others to judge."""
    answer = f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n".encode()
    async with Receiver(answer) as receiver:
        attempted = await post_to(receiver)

    assert (attempted.status, attempted.outcome, attempted.why) == (status, "answered", "")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("120", "120"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("soon\x01", ""),
        ("\xe4", ""),
        ("1" * 1000, "1" * 100),
    ],
)
async def test_retry_after_is_handed_on(sent, told):
    """As it came, if it is plain and short."""
    head = f"HTTP/1.1 429 Slow Down\r\nRetry-After: {sent}\r\nContent-Length: 0\r\n\r\n"
    async with Receiver(head.encode("latin-1")) as receiver:
        attempted = await post_to(receiver)

    assert attempted.retry_after == told or attempted.outcome == "malformed"
    assert told != sent or attempted.status == 429


@pytest.mark.parametrize(
    ("fault", "outcome", "status"),
    [
        (Fault.CLOSE, "broken_off", None),
        (Fault.RESET, "broken_off", None),
        (Fault.HANG_UP_UNREAD, "broken_off", None),
        (Fault.TRUNCATE_HEAD, "broken_off", None),
        (Fault.GARBAGE, "malformed", None),
        (Fault.HANG, "timed_out", None),
        (Fault.TRUNCATE_BODY, "answered", 200),
        (Fault.RESET_BODY, "answered", 200),
        (Fault.REDIRECT, "answered", 302),
        (Fault.ANSWER_AND_CLOSE, "answered", 200),
    ],
)
async def test_whatever_a_receiver_does_has_a_word(fault, outcome, status):
    """A head is an answer, however the body ends; without one the word says why."""
    async with FaultServer(fault) as server:
        attempted = await post_to(server, timeout_s=0.5)

    assert (attempted.outcome, attempted.status) == (outcome, status)
    assert attempted.peer == "127.0.0.1"
    assert bool(attempted.why) == (
        status is None or fault in (Fault.TRUNCATE_BODY, Fault.RESET_BODY)
    )
    assert server.requests_begun == 1


async def test_nobody_listening_is_not_connected(sender):
    """Nothing was sent, and no address is named as one that it went to."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        attempted = await sender.post(
            f"http://127.0.0.1:{reserved.getsockname()[1]}/", headers={}, body=b"{}"
        )

    assert (attempted.outcome, attempted.status, attempted.peer) == ("not_connected", None, "")


async def test_the_deadline_covers_the_look_up():
    """A silent name server costs as much as a silent receiver, no more."""
    sender = Sender(LOOPBACK, timeout_s=0.2, ca_file=None, resolver=Silence())

    async with asyncio.timeout(10):
        attempted = await sender.post("http://hooks.example.com/", headers={}, body=b"{}")

    await sender.aclose()
    assert attempted.outcome == "timed_out"
    assert 150 <= attempted.took_ms < 1500


async def test_the_deadline_covers_the_connecting():
    """A listener whose queue is full leaves the caller waiting for its handshake."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(place)

        sender = Sender(LOOPBACK, timeout_s=0.2, ca_file=None)
        attempted = await sender.post(f"http://127.0.0.1:{place[1]}/", headers={}, body=b"{}")
        await sender.aclose()
        for each in waiting:
            each.close()

    assert (attempted.outcome, attempted.peer) == ("timed_out", "")


async def test_a_receiver_that_stops_reading_is_cut_off():
    """The deadline covers the writing, and nothing of the body stays behind in memory."""
    async with FaultServer(Fault.STOP_READING) as server:
        attempted = await post_to(server, body=bytes(20_000_000), timeout_s=0.3)
        open_to_it = [
            each
            for each in psutil.Process().net_connections("tcp")
            if each.raddr and each.raddr.port == server.port and each.fd != -1
        ]

    assert attempted.outcome == "timed_out"
    assert open_to_it == []


async def test_the_next_address_is_tried_where_nothing_was_sent():
    """One dead address of a name does not hold up its messages."""
    names = Names("127.0.0.3", "127.0.0.2")
    sender = Sender(LOOPBACK, timeout_s=5, ca_file=None, resolver=names)
    async with Receiver(host="127.0.0.2") as receiver:
        with dialled() as addresses:
            attempted = await sender.post(
                f"http://hooks.example.com:{receiver.port}/", headers={}, body=b"{}"
            )
    await sender.aclose()

    assert (attempted.status, attempted.peer) == (200, "127.0.0.2")
    assert addresses == [("127.0.0.3", receiver.port), ("127.0.0.2", receiver.port)]
    assert names.asked == [("hooks.example.com", receiver.port)]


async def test_no_other_address_is_tried_once_something_was_sent():
    """The first may have acted on it."""
    sender = Sender(LOOPBACK, timeout_s=5, ca_file=None, resolver=Names("127.0.0.1", "127.0.0.2"))
    first = FaultServer(Fault.CLOSE)
    async with first, Receiver(host="127.0.0.2", port=first.port) as second:
        attempted = await sender.post(
            f"http://hooks.example.com:{first.port}/", headers={}, body=b"{}"
        )
    await sender.aclose()

    assert attempted.outcome == "broken_off"
    assert (first.posts, second.connections) == (1, 0)


async def test_each_send_has_its_own_connection(sender):
    """Even to a receiver that would keep the old one: an old connection is an old judgement."""
    async with FaultServer() as server:
        for _ in range(5):
            await sender.post(server.url, headers={}, body=b"{}")
            await server.all_closed()

        assert (server.posts, server.connections_made) == (5, 5)


async def test_cookies_are_not_kept(sender):
    """What one receiver sets, no other is shown, nor itself."""
    async with FaultServer(Fault.REDIRECT) as server:
        for _ in range(2):
            await sender.post(server.url, headers={}, body=b"{}")

    assert [name for each in server.seen for name, _ in each.headers if name == "Cookie"] == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """The address that is judged is the one that is dialled, whatever the variables say."""
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        attempted = await post_to(receiver)

    assert attempted.status == 200
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_passwords_of_a_netrc_file_are_not_used(monkeypatch, tmp_path):
    """No tenant gets to see what the operator keeps for a machine."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login operator password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with Receiver() as receiver:
        await post_to(receiver)

    assert "authorization" not in receiver.received[0].headers


async def test_only_the_beginning_of_an_answer_is_kept():
    """As much as the log of deliveries can show."""
    body = b"0123456789" * 1000
    async with Receiver(b"HTTP/1.1 200 OK\r\n\r\n" + body) as receiver:
        attempted = await post_to(receiver)

    assert attempted.answer == body[:MAX_KEPT_BYTES]


async def test_informational_answers_are_passed_over():
    """The status that counts comes after them."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3
    async with Receiver(hints + b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n") as receiver:
        attempted = await post_to(receiver)

    assert attempted.status == 202


async def test_closing_cuts_what_is_under_way():
    """A send that is cut off has a word like any other."""
    sender = Sender(LOOPBACK, timeout_s=30, ca_file=None)
    async with FaultServer(Fault.HANG) as server, asyncio.TaskGroup() as group:
        sending = group.create_task(sender.post(server.url, headers={}, body=b"{}"))
        await wait_until(lambda: server.posts == 1, describing="the request to arrive")
        await sender.aclose()
        attempted = await sending

    assert attempted.outcome == "broken_off"


async def test_closing_ends_a_send_that_has_not_begun():
    """Nothing is dialled any more once the name has come."""
    slow = Silence()
    sender = Sender(LOOPBACK, timeout_s=30, ca_file=None, resolver=slow)
    async with Receiver() as receiver, asyncio.TaskGroup() as group:
        url = f"http://hooks.example.com:{receiver.port}/"
        sending = group.create_task(sender.post(url, headers={}, body=b"{}"))
        await wait_until(lambda: slow.asked, describing="the name to be looked up")
        await sender.aclose()
        slow.ended.set()
        attempted = await sending

    assert (attempted.outcome, attempted.peer) == ("broken_off", "")
    assert receiver.connections == 0


async def test_a_cancelled_send_leaves_no_connection_behind():
    """A process that stops cuts what it has begun."""
    sender = Sender(LOOPBACK, timeout_s=30, ca_file=None)
    async with FaultServer(Fault.HANG) as server:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(sender.post(server.url, headers={}, body=b"{}"))
            await wait_until(lambda: server.posts == 1, describing="the request to arrive")
            sending.cancel()
        await server.all_closed()
    await sender.aclose()

    assert sending.cancelled()


def test_a_sender_is_built_without_a_loop(tmp_path):
    """And a file of certificates that is none stops the start."""
    Sender(TargetPolicy(), timeout_s=15, ca_file=None)

    with pytest.raises(OSError, match="No such file"):
        Sender(TargetPolicy(), timeout_s=15, ca_file=tmp_path / "missing.pem")
