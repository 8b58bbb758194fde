"""A vendor that surely got nothing: tried again in its time, then released, never in doubt."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from app.clock import HeldClock
from app.upstream.transport import AiohttpTransport
from tests.flows.watching import reaches, reason_of
from tests.support.auditor import audit, read_books
from tests.support.bed import Bed, character, open_bed, settings_for
from tests.support.redis_server import free_port
from tests.support.scale import scaled
from tests.support.vendor import Vendor

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

TRIALS = scaled(500, share=1.0)
AT_ONCE = 50
CONNECT_S = 0.15
LONGEST_PAUSE_MS = 500


class PausingClock(HeldClock):
    """A clock that is held but for the waits between attempts, which it jumps over."""

    waited_ms = 0

    async def sleep_ms(self, duration_ms: int) -> None:
        """Keep the longest wait."""
        self.waited_ms = max(self.waited_ms, duration_ms)
        await asyncio.sleep(0)


@asynccontextmanager
async def unknown_name() -> AsyncIterator[str]:
    """A name without an address."""
    yield "http://nonexistent.invalid"


@asynccontextmanager
async def refused() -> AsyncIterator[str]:
    """A port that nobody listens on."""
    yield f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def broken_handshake() -> AsyncIterator[str]:
    """A server that ends every handshake."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def stalled_handshake() -> AsyncIterator[str]:
    """A server that takes connections, and says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4096)
        yield f"https://127.0.0.1:{silent.getsockname()[1]}"


VENDORS: list[Callable[[], AbstractAsyncContextManager[str]]] = [
    unknown_name,
    refused,
    broken_handshake,
    stalled_handshake,
]


async def create_many(bed: Bed, key: str) -> list[httpx2.Response]:
    """Send all creates, some at once."""
    answers: list[httpx2.Response] = []
    for start in range(0, TRIALS, AT_ONCE):
        count = min(AT_ONCE, TRIALS - start)
        answers += await asyncio.gather(*(bed.create(key) for _ in range(count)))
    return answers


def assert_released(redis_url: str, answers: list[httpx2.Response], vendor: Vendor) -> None:
    """Each was refused with the time to come again, and nothing of it is left."""
    books = read_books(redis_url)
    ended = [task for task in books.tasks.values() if task["state"] == "rejected"]
    assert {reason_of(answer) for answer in answers} == {"vendor_unreachable"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert len(ended) == len(answers) == TRIALS
    assert "in_doubt" not in books.states()
    assert audit(books, vendor.journal()) == []


@pytest.mark.parametrize("vendor_of", VENDORS, ids=lambda of: str(of.__name__))
async def test_what_surely_was_not_sent_is_released(
    redis_url: str,
    vendor: Vendor,
    clock: HeldClock,
    tmp_path: Path,
    vendor_of: Callable[[], AbstractAsyncContextManager[str]],
) -> None:
    """500 creates: not one is in doubt, and every hold is given back."""
    pausing = PausingClock(clock.now_ms())
    async with vendor_of() as url:
        settings = settings_for(redis_url, tmp_path, url, vendor={"connect_timeout_s": CONNECT_S})
        async with open_bed(settings, pausing, vendor) as bed:
            key = await bed.key()
            answers = await create_many(bed, key)
            figures = await bed.usage()

    assert figures["held"] == figures["tasks"] == 0
    assert 0 < pausing.waited_ms <= LONGEST_PAUSE_MS
    assert_released(redis_url, answers, vendor)


async def test_a_send_that_got_no_connection_is_released(
    redis_url: str, vendor: Vendor, clock: HeldClock, tmp_path: Path
) -> None:
    """The pool has one connection, and a send hangs on it: 500 others are not in doubt."""
    pausing = PausingClock(clock.now_ms())
    async with open_bed(settings_for(redis_url, tmp_path, vendor.url), pausing, vendor) as bed:
        key = await bed.key()
        narrow = httpx2.AsyncClient(
            base_url=vendor.url,
            transport=AiohttpTransport(max_connections=1, keepalive_s=2),
            timeout=httpx2.Timeout(60, pool=0.01),
        )
        send = bed.gateway.submit.send
        only = replace(send.vendors["live"], submits=narrow)
        vendors = {**send.vendors, "live": only}
        submit = replace(bed.gateway.submit, send=replace(send, vendors=vendors))
        bed.gateway = bed.app.state.gateway = replace(bed.gateway, submit=submit)
        vendor.fault("hang", times=1)

        async with narrow, asyncio.TaskGroup() as callers:
            hanging = callers.create_task(bed.create(key, character(), idempotency_key="one"))
            await reaches(vendor)
            answers = await create_many(bed, key)
            hanging.cancel()

    books = read_books(redis_url)
    assert {reason_of(answer) for answer in answers} == {"vendor_unreachable"}
    assert books.states()["rejected"] == TRIALS
    assert len(vendor.creates()) == 1
    assert books.states().keys() <= {"rejected", "sending", "in_doubt"}
    assert sum(books.states().values()) == TRIALS + 1
