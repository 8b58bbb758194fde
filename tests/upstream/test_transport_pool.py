"""Many calls at once, calls given up half-way, and answers without end leave the pool whole."""

from __future__ import annotations

import asyncio
import random

import httpx2
import pytest

from app.upstream.transport import AiohttpTransport
from tests.support.fault_server import Fault, FaultServer

CAP_BYTES = 1024**2


async def post(client: httpx2.AsyncClient, url: str) -> int:
    """Send one small POST and return the status of its answer."""
    answer = await client.post(url, json={"prompt": "a cat"})
    return answer.status_code


async def test_five_hundred_calls_at_once():
    """A burst against a slow server takes about as long as one call, and each is sent once."""
    transport = AiohttpTransport(max_connections=1000, keepalive_s=30)
    async with (
        FaultServer(delay_s=0.05) as server,
        httpx2.AsyncClient(transport=transport, timeout=10, trust_env=False) as client,
    ):
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            calls = [group.create_task(post(client, server.url)) for _ in range(500)]

        assert [call.result() for call in calls] == [200] * 500
        assert server.posts == 500
        assert transport.in_flight == 0


async def test_calls_beyond_the_pool_wait_their_turn():
    """No more connections than allowed, and whoever waits is served in the end."""
    transport = AiohttpTransport(max_connections=5, keepalive_s=30)
    async with (
        FaultServer(delay_s=0.005) as server,
        httpx2.AsyncClient(transport=transport, timeout=10, trust_env=False) as client,
    ):
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(post(client, server.url)) for _ in range(50)]

        assert [call.result() for call in calls] == [200] * 50
        assert server.connections_made == 5


@pytest.mark.parametrize("max_connections", [20, 300], ids=["contended", "ample"])
async def test_cancelled_calls_leave_nothing_behind(max_connections):
    """200 calls cancelled anywhere, in the pool or under way, then 50 that all succeed."""
    chance = random.Random(7)
    transport = AiohttpTransport(max_connections=max_connections, keepalive_s=30)
    async with (
        FaultServer(delay_s=0.01) as server,
        httpx2.AsyncClient(transport=transport, timeout=5, trust_env=False) as client,
    ):
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(post(client, server.url)) for _ in range(200)]
            for call in calls:
                loop.call_later(chance.uniform(0, 0.15), call.cancel)

        assert sum(call.cancelled() for call in calls) > 0
        assert transport.in_flight == 0

        async with asyncio.TaskGroup() as group:
            after = [group.create_task(post(client, server.url)) for _ in range(50)]

        assert [call.result() for call in after] == [200] * 50
        assert transport.in_flight == 0
        assert server.connections_open <= max_connections
    await server.all_closed()


async def test_an_endless_answer_is_cut_off_at_the_callers_cap():
    """Leaving the body early drops the connection; what the server still had is not read."""
    transport = AiohttpTransport(max_connections=1, keepalive_s=30)
    async with (
        FaultServer(Fault.FLOOD) as server,
        httpx2.AsyncClient(transport=transport, timeout=5, trust_env=False) as client,
    ):
        read_bytes = 0
        async with client.stream("POST", server.url, json={}) as answer:
            async for piece in answer.aiter_raw():
                read_bytes += len(piece)
                if read_bytes > CAP_BYTES:
                    break

        await server.all_closed()
        assert read_bytes < 2 * CAP_BYTES
        assert server.flooded_bytes < 32 * CAP_BYTES
        assert transport.in_flight == 0
        assert await post(client, server.url) == 200
        assert server.connections_made == 2


async def test_a_caller_cancelled_within_an_answer_drops_the_connection():
    """Cancelling the read of a body closes its connection and frees its place in the pool."""
    transport = AiohttpTransport(max_connections=1, keepalive_s=30)
    async with (
        FaultServer(Fault.FLOOD) as server,
        httpx2.AsyncClient(transport=transport, timeout=5, trust_env=False) as client,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.get(server.url)

        await server.all_closed()
        assert transport.in_flight == 0
        assert await post(client, server.url) == 200


async def test_without_keep_alive_every_call_has_a_connection_of_its_own():
    """`keepalive_s=0` trades speed for never meeting a connection the server has given up."""
    transport = AiohttpTransport(max_connections=10, keepalive_s=0)
    async with (
        FaultServer() as server,
        httpx2.AsyncClient(transport=transport, timeout=5, trust_env=False) as client,
    ):
        for _ in range(3):
            await post(client, server.url)

        await server.all_closed()
        assert server.connections_made == 3


async def test_a_transport_may_be_built_and_closed_unused_outside_a_loop():
    """Nothing that belongs to an event loop is made before the first request."""
    transport = await asyncio.to_thread(AiohttpTransport, max_connections=1, keepalive_s=1)

    await transport.aclose()

    assert transport.in_flight == 0
