"""What never reached a server says so, with the phase it failed in and the cause attached."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
from collections.abc import Iterator

import httpx2
import pytest

from app.upstream.failure import surely_not_sent
from app.upstream.transport import AiohttpTransport
from tests.support.fault_server import Fault, FaultServer

PATIENT = httpx2.Timeout(5)
IMPATIENT = httpx2.Timeout(5, connect=0.2)


@pytest.fixture(params=["ours", "default"])
def transport(request: pytest.FixtureRequest) -> httpx2.AsyncBaseTransport:
    """Ours, and httpx2's own as the control of the classification."""
    if request.param == "ours":
        return AiohttpTransport(max_connections=10, keepalive_s=30)
    return httpx2.AsyncHTTPTransport(trust_env=False)


async def failure_of(
    transport: httpx2.AsyncBaseTransport, url: str, limits: httpx2.Timeout = PATIENT
) -> httpx2.TransportError:
    """POST to `url` over `transport` and return what was raised."""
    async with httpx2.AsyncClient(transport=transport, timeout=limits, trust_env=False) as client:
        with pytest.raises(httpx2.TransportError) as caught:
            await client.post(url, json={"prompt": "a cat"})
    if isinstance(transport, AiohttpTransport):
        assert transport.in_flight == 0
    return caught.value


@contextlib.contextmanager
def bound_socket() -> Iterator[tuple[socket.socket, str]]:
    """Reserve a port of loopback that refuses connections until somebody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved, f"127.0.0.1:{reserved.getsockname()[1]}"


async def test_a_port_nobody_listens_on(transport):
    """A refused connection is a connect error, and nothing was sent."""
    with bound_socket() as (_, address):
        failure = await failure_of(transport, f"http://{address}/")

    assert type(failure) is httpx2.ConnectError
    assert surely_not_sent(failure)


async def test_a_name_that_does_not_resolve(transport):
    """A name without an address is a connect error, and nothing was sent."""
    failure = await failure_of(transport, "http://nonexistent.invalid/")

    assert type(failure) is httpx2.ConnectError
    assert surely_not_sent(failure)


async def test_a_server_that_does_not_speak_tls(transport):
    """Plain text in place of a handshake is a connect error, and nothing was sent."""

    async def answer_in_plain_text(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer_in_plain_text, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failure = await failure_of(transport, f"https://127.0.0.1:{port}/")

    assert type(failure) is httpx2.ConnectError
    assert surely_not_sent(failure)


@pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.HANG_UP_UNREAD], ids=lambda it: it.name)
async def test_a_handshake_the_server_breaks_off(transport, fault):
    """Connection closed or reset within the handshake: a connect error, and nothing was sent."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Unread bytes turn the close into a reset.
        await reader.read(1024 if fault is Fault.CLOSE else 1)
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failure = await failure_of(transport, f"https://127.0.0.1:{port}/")

    assert type(failure) is httpx2.ConnectError
    assert surely_not_sent(failure)


async def test_a_handshake_that_never_ends(transport):
    """The connect timeout covers the TLS handshake too."""
    with bound_socket() as (silent, address):
        silent.listen()
        failure = await failure_of(transport, f"https://{address}/", IMPATIENT)

    assert type(failure) is httpx2.ConnectTimeout
    assert surely_not_sent(failure)


async def test_a_host_that_does_not_answer_the_connection(transport):
    """A connect attempt nobody answers ends by the connect timeout, and nothing was sent."""
    with bound_socket() as (full, address), contextlib.ExitStack() as callers:
        full.listen(0)
        if not fill_backlog(full.getsockname(), callers):
            pytest.skip("this kernel completes connections beyond a full backlog")
        failure = await failure_of(transport, f"http://{address}/", IMPATIENT)

    assert type(failure) is httpx2.ConnectTimeout
    assert surely_not_sent(failure)


def fill_backlog(address: tuple[str, int], callers: contextlib.ExitStack) -> bool:
    """Connect until the kernel leaves an attempt unanswered; tell whether it came to that."""
    for _ in range(8):
        caller = callers.enter_context(socket.socket())
        caller.setblocking(False)
        caller.connect_ex(address)
        with selectors.DefaultSelector() as selector:
            selector.register(caller, selectors.EVENT_WRITE)
            if not selector.select(0.1):
                return True
    return False


async def test_a_pool_with_every_connection_busy(transport):
    """Waiting for a connection ends by the pool timeout; the connect timeout plays no part."""
    if not isinstance(transport, AiohttpTransport):
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
        transport = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)
    else:
        transport = AiohttpTransport(max_connections=1, keepalive_s=30)
    timeout = httpx2.Timeout(5, connect=0.01, pool=0.1)
    async with (
        FaultServer(Fault.FLOOD) as server,
        httpx2.AsyncClient(transport=transport, trust_env=False) as client,
        client.stream("GET", server.url),
    ):
        with pytest.raises(httpx2.PoolTimeout) as caught:
            await client.post(server.url, json={}, timeout=timeout)

        assert surely_not_sent(caught.value)
        assert server.requests_begun == 1
        if isinstance(transport, AiohttpTransport):
            assert transport.in_flight == 1
