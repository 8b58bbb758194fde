"""A server that reads a POST and then fails never looks as if it had not been reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from app.upstream.failure import surely_not_sent
from app.upstream.transport import AiohttpTransport
from tests.support.fault_server import AFTER_READING, Fault, FaultServer

PATIENT = httpx2.Timeout(10)
IMPATIENT = httpx2.Timeout(10, read=0.1)  # where the server is expected to say nothing

TRANSPORTS: dict[str, Callable[[], httpx2.AsyncBaseTransport]] = {
    "ours": lambda: AiohttpTransport(max_connections=10, keepalive_s=30),
    "default": lambda: httpx2.AsyncHTTPTransport(trust_env=False),
}

OUR_MEANING = {
    Fault.CLOSE: httpx2.RemoteProtocolError,
    Fault.RESET: httpx2.ReadError,
    Fault.HANG: httpx2.ReadTimeout,
    Fault.TRUNCATE_HEAD: httpx2.RemoteProtocolError,
    Fault.TRUNCATE_BODY: httpx2.RemoteProtocolError,
    Fault.RESET_BODY: httpx2.RemoteProtocolError,
    Fault.GARBAGE: httpx2.RemoteProtocolError,
}


def client_over(transport: httpx2.AsyncBaseTransport) -> httpx2.AsyncClient:
    """Build a client that takes nothing from the environment."""
    return httpx2.AsyncClient(transport=transport, timeout=PATIENT, trust_env=False)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> httpx2.AsyncBaseTransport:
    """Ours, and httpx2's own as the control of the classification."""
    return TRANSPORTS[request.param]()


@pytest.mark.parametrize("fault", AFTER_READING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("is_reused", [False, True], ids=["fresh", "reused"])
async def test_a_post_that_was_read_is_in_doubt_and_sent_once(transport, fault, is_reused):
    """Whatever the server does after reading, on a new connection or a kept one: in doubt, once."""
    before = [Fault.ANSWER] if is_reused else []
    async with FaultServer(*before, fault) as server, client_over(transport) as client:
        for _ in before:
            await client.post(server.url, json={})

        with pytest.raises(httpx2.TransportError) as caught:
            await client.post(
                server.url,
                json={"prompt": "a cat"},
                timeout=IMPATIENT if fault is Fault.HANG else PATIENT,
            )

        assert not surely_not_sent(caught.value)
        assert server.posts == server.requests_begun == len(before) + 1
        assert server.connections_made == 1
        if isinstance(transport, AiohttpTransport):
            assert type(caught.value) is OUR_MEANING[fault]
            assert transport.in_flight == 0


@pytest.mark.parametrize("is_reused", [False, True], ids=["fresh", "reused"])
async def test_a_connection_closed_as_the_request_arrives_is_in_doubt(transport, is_reused):
    """The keep-alive race: the server gives up the connection while the request is on its way."""
    before = [Fault.ANSWER] if is_reused else []
    async with (
        FaultServer(*before, Fault.HANG_UP_UNREAD) as server,
        client_over(transport) as client,
    ):
        for _ in before:
            await client.post(server.url, json={})

        with pytest.raises(httpx2.TransportError) as caught:
            await client.post(server.url, json={"prompt": "a cat"})

        assert not surely_not_sent(caught.value)
        assert server.requests_begun == len(before) + 1
        assert server.connections_made == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_requests_that_could_be_repeated_are_not_repeated_either(method):
    """aiohttp repeats these on a dropped connection; through the transport it does not."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with (
        FaultServer(Fault.ANSWER, Fault.CLOSE) as server,
        client_over(transport) as client,
    ):
        await client.request(method, server.url)

        with pytest.raises(httpx2.RemoteProtocolError):
            await client.request(method, server.url)

        assert server.requests_begun == 2
        assert server.connections_made == 1


async def test_an_idle_connection_the_server_closed_is_not_used_again():
    """A hang-up that lies in the socket, unseen by the event loop, costs no request."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer() as server, client_over(transport) as client:
        for _ in range(50):
            server.plan(Fault.ANSWER_AND_CLOSE)
            answer = await client.post(server.url, json={})
            assert answer.status_code == 200

        assert server.posts == server.requests_begun == server.connections_made == 50


@pytest.mark.parametrize("has_arrived", [False, True], ids=["in the socket", "read already"])
async def test_an_answer_nobody_asked_for_is_not_given_to_the_next_request(has_arrived):
    """A second answer on an idle connection would otherwise answer somebody else's request."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with (
        FaultServer(Fault.SPEAK_AGAIN) as server,
        FaultServer() as other,
        client_over(transport) as client,
    ):
        await client.post(server.url, json={})
        await server.spoke_again.wait()
        if has_arrived:
            await client.post(other.url, json={})  # the event loop reads every socket meanwhile

        answer = await client.post(server.url, json={})

        assert answer.json() == {"request": 2}
        assert server.connections_made == 2


async def test_a_server_that_stops_reading_is_a_write_timeout():
    """A stalled upload ends by the write timeout, in doubt, and leaves no connection behind."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer(Fault.STOP_READING) as server, client_over(transport) as client:
        timeout = httpx2.Timeout(10, write=0.1)

        with pytest.raises(httpx2.WriteTimeout) as caught:
            await client.post(server.url, content=bytes(32 * 1024**2), timeout=timeout)

        assert not surely_not_sent(caught.value)
        assert transport.in_flight == 0
        server.carry_on.set()
        await server.all_closed()
        assert server.posts == 0


async def test_a_body_that_fails_while_it_is_sent_is_in_doubt():
    """Our own half of the request breaks off: the server has read its beginning."""

    async def pieces():
        yield b"the first half"
        raise ConnectionRefusedError("where the second half was to come from")

    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer() as server, client_over(transport) as client:
        with pytest.raises(httpx2.TransportError) as caught:
            await client.post(server.url, content=pieces())

        assert not surely_not_sent(caught.value)
        assert server.posts == 0
        await server.all_closed()


async def test_a_failure_does_not_carry_the_request_headers():
    """What may end in a log holds no vendor key, however it is printed."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer(Fault.GARBAGE) as server, client_over(transport) as client:
        with pytest.raises(httpx2.RemoteProtocolError) as caught:
            await client.post(server.url, headers={"authorization": "Bearer made-up-key"})

    link: BaseException | None = caught.value
    while link is not None:
        assert "made-up-key" not in f"{link!r} {link} {link.args}"
        link = link.__cause__


async def test_a_cancelled_call_is_in_doubt():
    """Whoever gives up while the server works knows nothing about the outcome."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=30)
    async with FaultServer(Fault.HANG) as server, client_over(transport) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await client.post(server.url, json={})

        assert not surely_not_sent(caught.value)
        assert transport.in_flight == 0
        await server.all_closed()
